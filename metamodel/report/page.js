(() => {
  const table = document.getElementById("table"), body = table.tBodies[0];
  const rows = [...body.rows], filter = document.getElementById("filter"), shown = document.getElementById("shown");
  const value = (row, column, kind) => {
    const cell = row.cells[column];
    if (kind === "text") return cell.textContent.trim();
    const text = cell.dataset.v;
    return text === "inf" ? Infinity : text === "-inf" ? -Infinity : text === "" || text === "None" ? NaN : Number(text);
  };
  const compare = (a, b) => typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  const missing = (v) => v === "" || Number.isNaN(v);
  const sort = (head) => {
    const column = head.cellIndex, up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.sort((a, b) => {
      const x = value(a, column, head.dataset.sort), y = value(b, column, head.dataset.sort);
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return up ? compare(x, y) : compare(y, x);
    });
    body.append(...rows);
  };
  for (const head of table.tHead.rows[0].cells) {
    head.tabIndex = 0;
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(head); });
  }
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    let number = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      number += !row.hidden;
    }
    shown.textContent = wanted ? `${number.toLocaleString("en")} of ${rows.length.toLocaleString("en")}` : "";
  });
})();

"""An HTML page read back: its structure, for the tests of the report."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "input"}


class Page(HTMLParser):
    """Insists on tags that are closed in order, and gathers text, links and scripts."""

    def __init__(self, source):
        super().__init__()
        self.open, self.texts, self.attributes, self.scripts = [], [], [], 0
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))

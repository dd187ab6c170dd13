"""What a Parquet file opens to, before it is opened."""

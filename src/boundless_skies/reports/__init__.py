"""Forms of files that node and cloud both write: a light curve's report, a table's cells."""

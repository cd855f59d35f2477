"""Reports from what the tools of the suite say of studies and series, one module a form."""

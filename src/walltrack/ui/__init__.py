"""The dashboard: pages for browsers over the HTTP API."""

DROP TABLE discovery_run_tokens;

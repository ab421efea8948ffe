DROP TABLE run_requests;
DROP TABLE api_keys;

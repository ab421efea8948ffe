DROP TABLE provider_quotas;
DROP TABLE provider_usage;

-- For Grafana, which lets everybody who sees a dashboard ask what it may ask: reading, and nothing else.
CREATE ROLE grafana LOGIN PASSWORD 'grafana';
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO grafana;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO grafana;

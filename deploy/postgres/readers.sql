-- The rights of people who fetch reports: they see which edition is newest and append to the audit
-- trail, and nothing else. No rating can be read with them.
--
-- Run by the owner of the tables, after each upgrade:
--
--     psql -v ON_ERROR_STOP=1 -v readers=esg_readers -f readers.sql "$OWNERS_DATABASE"

BEGIN;

REVOKE ALL ON
  esg_ledger_version, esg_leases, esg_editions, esg_results, esg_attempts, esg_attempt_batches,
  esg_alerts, esg_alert_messages, esg_audit, esg_audit_head, esg_legal_holds, esg_probes
FROM :"readers";

GRANT SELECT ON esg_ledger_version, esg_editions TO :"readers";
GRANT INSERT ON esg_audit TO :"readers";
GRANT SELECT, UPDATE ON esg_audit_head TO :"readers";

COMMIT;

-- The rights of the application's role on PostgreSQL: it can read and append to the audit trail,
-- and never change or delete it.
--
-- Run by the owner of the tables, who is another role and has opened the ledger once, after each
-- upgrade:
--
--     psql -v ON_ERROR_STOP=1 -v app=esg_app -f grants.sql "$OWNERS_DATABASE"

BEGIN;

REVOKE ALL ON
  esg_ledger_version, esg_leases, esg_editions, esg_results, esg_attempts, esg_attempt_batches,
  esg_alerts, esg_alert_messages, esg_audit, esg_audit_head, esg_legal_holds, esg_probes
FROM PUBLIC, :"app";

GRANT SELECT ON esg_ledger_version TO :"app";
GRANT SELECT, INSERT ON esg_audit TO :"app";
GRANT SELECT, UPDATE ON esg_audit_head TO :"app";
GRANT SELECT, INSERT, UPDATE ON esg_leases, esg_probes TO :"app";
GRANT SELECT, INSERT, UPDATE, DELETE ON
  esg_editions, esg_results, esg_attempts, esg_attempt_batches,
  esg_alerts, esg_alert_messages, esg_legal_holds
TO :"app";
GRANT USAGE ON SEQUENCE esg_editions_id_seq, esg_alerts_id_seq TO :"app";

COMMIT;

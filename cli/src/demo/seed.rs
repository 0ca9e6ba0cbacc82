//! What the demo's database holds: a payments table with cardholder rows (test numbers of the card schemes), the role that
//! reads it, and the broker's own login, limited to CREATEROLE.

/// Roles and databases, run as the superuser. `{password}` is the broker's, random for each run.
pub(crate) const ROLES: &str = "\
create role payments_reader nologin;
create role writ_broker login createrole password '{password}';
grant payments_reader to writ_broker with admin option;
grant pg_signal_backend to writ_broker;
create database payments;
create database payroll;
";

/// The rows.
pub(crate) const ROWS: &str = "\
revoke all on database payments from public;
grant connect on database payments to payments_reader, writ_broker;
create table cardholders (id int primary key, name text, card text, email text, amount_cents int);
insert into cardholders values
  (1, 'Ada Okafor', '4111 1111 1111 1111', 'ada@example.com', 12900),
  (2, 'Bruno Lima', '5555 5555 5555 4444', 'bruno@example.org', 4550),
  (3, 'Chen Wei', '3782 822463 10005', 'chen@example.net', 99900);
grant select, delete on cardholders to payments_reader;
";

/// The set of masks that the policy of the workload names: card numbers, wherever they stand.
pub(crate) const CARDS: &str = "\
# What PCI DSS 3.4.1 lets be shown of a card number: the first six digits and the last four.
[[rules]]
name = \"card-numbers\"
detector = \"pan\"
action = \"partial\"
";

//! One session whose statements are judged.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::digest;
use writ_core::command::{Command, CommandId, CommandTag};
use writ_core::fault::{Blame, Fault};
use writ_core::grant::SessionLimits;
use writ_core::statement::{Fingerprint, Kind, PreparedStep, RowsTold, SettingValue, Statement};
use writ_core::verdict::{HoldTerms, Verdict};
use writ_policy::functions::only_computes;
use writ_policy::{Judgement, Need, SessionPolicy, StatementFacts};
use writ_record::entry::{Ending, Format, Parameter, Text};

use super::counts::{self, Counts};
use super::hold::{self, Desk, Holding, Next, Question};
use super::paths::Paths;
use super::{Governor, Parsed};
use crate::evidence::{Later, Moment, ServerFacts};

/// How many statements SQL's `PREPARE` may keep before an `EXECUTE` is not understood any more.
const MOST_NAMED: usize = 256;
/// How many bytes of held prepared statements are kept for approvers.
const MOST_HELD_TEXT: usize = 1 << 20;
/// How many bytes of a statement and its parameters an approver can be asked about.
const MOST_ASKED: usize = 64 << 10;

/// What is decided of a command.
#[derive(Debug)]
pub enum Decided {
    /// It is allowed or denied, where humans were asked by this approval.
    Verdict(Verdict, Option<String>),
    /// Nothing yet: it is to be judged again once this resolves.
    Later(Later),
    /// As [`Decided::Later`], since humans are asked: here.
    Held(Later, String),
}

/// What policy says of one command.
#[derive(Debug, Clone)]
pub struct Said {
    /// The word itself.
    pub judgement: Arc<Judgement>,
    /// What the command does.
    pub parsed: Arc<Parsed>,
}

/// What the parser said of a command's text.
type Answered = (CommandId, Arc<Parsed>);

/// The session.
pub struct Governed {
    policy: SessionPolicy,
    database: String,
    role: String,
    limits: SessionLimits,
    paths: Paths,
    /// What a remembered verdict depends on besides the shape: in a transaction, and not; made anew when the paths change.
    scopes: Option<(u64, [[u8; 32]; 2])>,
    /// The texts that may still be executed, by the command that prepared them.
    prepared: HashMap<CommandId, Arc<Parsed>>,
    /// How many of those there may be before those that are gone are looked for.
    prune_above: usize,
    /// What SQL's `PREPARE` kept, by name.
    named: HashMap<String, Vec<Arc<Statement>>>,
    named_lost: bool,
    /// What the parser said of the text of the command that waits for it.
    parsed: Rc<RefCell<Option<Answered>>>,
    counts: Counts,
    /// The command that waits for humans.
    holding: Option<Holding>,
    /// The texts of prepared statements that are held when they are executed, for whoever approves them.
    held_texts: HashMap<CommandId, Arc<[u8]>>,
}

impl core::fmt::Debug for Governed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Governed").field("paths", &self.paths).field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Governed {
    /// A session that begins.
    #[must_use]
    pub fn new(policy: SessionPolicy, database: String, limits: SessionLimits, facts: &ServerFacts) -> Self {
        let counts = Counts::new(limits, policy.inputs().moving);
        Self {
            policy,
            database,
            role: facts.role.clone(),
            limits,
            paths: Paths::new(facts),
            scopes: None,
            prepared: HashMap::new(),
            prune_above: 64,
            named: HashMap::new(),
            named_lost: false,
            parsed: Rc::default(),
            counts,
            holding: None,
            held_texts: HashMap::new(),
        }
    }

    /// Decides on a command, or says what that waits for.
    pub fn decide<'p>(
        &mut self,
        governor: &Rc<RefCell<Governor>>,
        desk: &Rc<dyn Desk>,
        command: &Command<'_>,
        text: &Text<'_>,
        parameters: impl Iterator<Item = Parameter<'p>>,
        moment: &Moment<'_>,
    ) -> Decided {
        let decided = match self.holding.take().filter(|holding| holding.command == command.id) {
            Some(holding) => self.held(holding, command, moment),
            None => self.decide_anew(governor, desk, command, text, parameters, moment),
        };
        if matches!(decided, Decided::Verdict(Verdict::Deny(_), _)) {
            self.failed();
        }
        decided
    }

    fn decide_anew<'p>(
        &mut self,
        governor: &Rc<RefCell<Governor>>,
        desk: &Rc<dyn Desk>,
        command: &Command<'_>,
        text: &Text<'_>,
        parameters: impl Iterator<Item = Parameter<'p>>,
        moment: &Moment<'_>,
    ) -> Decided {
        let said = match self.judge(governor, command, text, moment) {
            Ok(said) => said,
            Err(later) => return Decided::Later(later),
        };
        let terms = match self.settle(command, &said, false, moment) {
            Verdict::Hold(terms) => terms,
            verdict => return Decided::Verdict(verdict, None),
        };
        let question = self.question(command, text, parameters, (terms, &said), moment);
        match question.and_then(|question| self.counts.asks(moment.now).map(|()| question)) {
            Ok(question) => {
                let (holding, later) = Holding::begin(desk, question, said);
                self.holding = Some(holding);
                Decided::Later(later)
            }
            Err(fault) => Decided::Verdict(Verdict::Deny(fault), None),
        }
    }

    fn held(&mut self, holding: Holding, command: &Command<'_>, moment: &Moment<'_>) -> Decided {
        match holding.next() {
            Next::Wait(later, place) => {
                self.holding = Some(holding);
                match place {
                    Some(place) => Decided::Held(later, place),
                    None => Decided::Later(later),
                }
            }
            Next::Approved(approval) => {
                Decided::Verdict(self.settle(command, &holding.said, true, moment), Some(approval))
            }
            Next::Refused(fault) => Decided::Verdict(Verdict::Deny(fault), None),
        }
    }

    /// The client wants what waits for humans no more. Says whether anything did.
    pub fn cancel(&self) -> bool {
        self.holding.as_ref().inspect(|holding| holding.cancel()).is_some()
    }

    /// What policy says of a command, which is no verdict before [`Self::settle`].
    ///
    /// # Errors
    /// Its text is not understood yet: it is to be judged again once that resolves.
    pub fn judge(
        &mut self,
        governor: &Rc<RefCell<Governor>>,
        command: &Command<'_>,
        text: &Text<'_>,
        moment: &Moment<'_>,
    ) -> Result<Said, Later> {
        self.paths.settle(moment.open);
        let parsed = self.understand(governor, command, text)?;
        if command.tag == CommandTag::SqlPrepare {
            self.keep(command.id, Arc::clone(&parsed), moment);
        }
        let judgement = self.remembered(governor, &parsed, moment);
        if let (CommandTag::SqlPrepare, Some(_), Some(text)) = (command.tag, &judgement.hold, command.text) {
            let kept: usize = self.held_texts.values().map(|text| text.len()).sum();
            if kept + text.len() <= MOST_HELD_TEXT {
                self.held_texts.insert(command.id, text.into());
            }
        }
        Ok(Said { judgement, parsed })
    }

    /// What humans are to be asked of a held command, whose parameters these are.
    ///
    /// # Errors
    /// It may not be held where it stands, or is more than a human can be shown.
    fn question<'p>(
        &self,
        command: &Command<'_>,
        text: &Text<'_>,
        parameters: impl Iterator<Item = Parameter<'p>>,
        (terms, said): (HoldTerms, &Said),
        moment: &Moment<'_>,
    ) -> Result<Question, Fault> {
        let mut terms = terms;
        if (moment.open)() {
            let Some(seconds) = terms.in_transaction_seconds else {
                let public = "the statement needs an approval, for which nobody waits within a transaction: it would keep its locks";
                return Err(Fault::new("approval.transaction", Blame::NotAllowed, public)
                    .help("run it outside of a transaction, or ask for a policy with `@hold_in_transaction`"));
            };
            terms.timeout_seconds = terms.timeout_seconds.min(seconds);
        }
        let of_sql = |statement: &Statement| matches!(statement.prepared, Some(PreparedStep::Execute(_)));
        if said.parsed.statements.iter().any(of_sql) {
            let public = "the statement that `EXECUTE` runs needs an approval, and an approver would not see it";
            return Err(Fault::new("approval.prepared", Blame::NotAllowed, public)
                .help("send the statement itself, or prepare it by the protocol"));
        }
        let kept = if let Text::Prepared(id) = text { self.held_texts.get(id).map(|text| &**text) } else { None };
        let too_long = || {
            Fault::new(
                "approval.too_long",
                Blame::NotAllowed,
                "the statement needs an approval and is too long to be shown to an approver",
            )
            .help("shorten the statement or its parameters")
        };
        let statement = command.text.or(kept).ok_or_else(too_long)?.to_vec();
        let mut length = statement.len();
        let mut asked = Vec::new();
        for parameter in parameters {
            length += parameter.value.map_or(0, <[u8]>::len) + 8;
            if length > MOST_ASKED {
                return Err(too_long());
            }
            let (binary, value) = (parameter.format == Format::Binary, parameter.value.map(<[u8]>::to_vec));
            asked.push(hold::Parameter { type_id: parameter.type_id, binary, value });
        }
        if length > MOST_ASKED {
            return Err(too_long());
        }
        let fingerprint = match said.parsed.statements.as_slice() {
            [one] if says_itself(one) => one.fingerprint,
            _ => Fingerprint::default(),
        };
        let (database, schemas) = (self.database.clone(), self.paths.schemas());
        Ok(Question { command: command.id, database, schemas, statement, parameters: asked, fingerprint, terms })
    }

    /// The verdict on a command that was judged. What only prepares is not held: what executes it is.
    pub fn settle(&mut self, command: &Command<'_>, said: &Said, approved: bool, moment: &Moment<'_>) -> Verdict {
        let prepares = command.tag == CommandTag::SqlPrepare;
        let verdict = self.policy.settle(command.tag, &said.judgement, approved || prepares);
        let Verdict::Allow(clearance) = verdict else { return verdict };
        if prepares {
            return Verdict::Allow(clearance);
        }
        if let Err(fault) = self.begins(command.id, said, moment) {
            return Verdict::Deny(fault);
        }
        self.released(command.id, &said.parsed);
        Verdict::Allow(clearance)
    }

    /// The server said, or is made to say, that something failed: a transaction that is open may be rolled back.
    pub fn failed(&mut self) {
        self.paths.failed();
    }

    /// Rows flow back, whole frames but where `whole` is false.
    ///
    /// # Errors
    /// They are more than policy allows: the session must end before the client gets them.
    pub fn flow(&mut self, command: Option<CommandId>, bytes: &[u8], whole: bool) -> Result<(), Fault> {
        self.counts.flow(command, bytes, whole)
    }

    /// A statement of a command came out, with so many rows.
    ///
    /// # Errors
    /// As [`Self::flow`].
    pub fn came_out(&mut self, command: CommandId, ending: Ending, rows: Option<u64>) -> Result<(), Fault> {
        self.paths.came_out(command, ending);
        self.counts.came_out(command, ending, rows)
    }

    fn begins(&mut self, id: CommandId, said: &Said, moment: &Moment<'_>) -> Result<(), Fault> {
        let untold = |statement: &Statement| match &statement.prepared {
            Some(PreparedStep::Define(_)) => false,
            Some(PreparedStep::Execute(name)) => self.kept(name).iter().any(|kept| kept.rows == RowsTold::Nowhere),
            _ => statement.rows == RowsTold::Nowhere,
        };
        let (statements, rows) = (&said.parsed.statements, said.judgement.rows);
        if (rows.is_some() || self.limits.rows.is_some()) && statements.iter().any(untold) {
            return Err(counts::untold());
        }
        self.counts.begins(id, (statements, rows), moment.now, moment.open)
    }

    fn understand(
        &self,
        governor: &Rc<RefCell<Governor>>,
        command: &Command<'_>,
        text: &Text<'_>,
    ) -> Result<Arc<Parsed>, Later> {
        let Some(bytes) = command.text else {
            let known = if let Text::Prepared(id) = text { self.prepared.get(id).map(Arc::clone) } else { None };
            return Ok(known.unwrap_or_else(Parsed::unknown));
        };
        // The text of a command that waited for the parser had an outline then.
        if let Some((id, parsed)) = self.parsed.borrow_mut().take()
            && id == command.id
        {
            return Ok(parsed);
        }
        let Ok(outline) = writ_sql::outline(bytes) else { return Ok(Parsed::unknown()) };
        if let Some(parsed) = governor.borrow_mut().texts.get(outline.shape.as_bytes()) {
            return Ok(parsed);
        }
        let (governor, slot, id) = (Rc::clone(governor), Rc::clone(&self.parsed), command.id);
        let (parser, text) = (Rc::clone(&governor.borrow().parser), bytes.to_vec());
        Err(Later::new(async move {
            let statements = parser.analyse(&text).await.into_statements();
            let literal = statements.iter().any(|statement| statement.literal);
            let parsed = Arc::new(Parsed { statements, shape: (!literal).then_some(outline.shape) });
            if !literal {
                governor.borrow_mut().texts.put(*outline.shape.as_bytes(), Arc::clone(&parsed), parsed.weight());
            }
            *slot.borrow_mut() = Some((id, parsed));
        }))
    }

    fn keep(&mut self, id: CommandId, parsed: Arc<Parsed>, moment: &Moment<'_>) {
        if self.prepared.len() >= self.prune_above {
            let alive = (moment.prepared)();
            self.prepared.retain(|id, _| alive.contains(id));
            self.held_texts.retain(|id, _| alive.contains(id));
            self.prune_above = 64.max(self.prepared.len() * 2);
        }
        self.prepared.insert(id, parsed);
    }

    /// Policy's word, out of memory where it can be.
    fn remembered(&mut self, governor: &Rc<RefCell<Governor>>, parsed: &Parsed, moment: &Moment<'_>) -> Arc<Judgement> {
        let inputs = self.policy.inputs();
        self.counts.forget(moment.now);
        let plain = |statement: &Statement| statement.prepared.is_none();
        let shape = parsed.shape.filter(|_| !inputs.moving && parsed.statements.iter().all(plain));
        let open = inputs.transaction && (moment.open)();
        let Some(shape) = shape else { return Arc::new(self.judge_all(&parsed.statements, open, moment)) };
        let key = (*shape.as_bytes(), self.scope(open));
        let known = governor.borrow_mut().verdicts.get(&key);
        known.unwrap_or_else(|| {
            let judgement = Arc::new(self.judge_all(&parsed.statements, open, moment));
            let weight = judgement.policies.iter().map(|policy| policy.len() + 24).sum::<usize>() + 512;
            governor.borrow_mut().verdicts.put(key, Arc::clone(&judgement), weight);
            judgement
        })
    }

    fn scope(&mut self, open: bool) -> [u8; 32] {
        let version = self.paths.version;
        if self.scopes.is_none_or(|(of, _)| of != version) {
            self.scopes = Some((version, [self.digest(false), self.digest(true)]));
        }
        self.scopes.map(|(_, [closed, opened])| if open { opened } else { closed }).unwrap_or_default()
    }

    fn digest(&self, open: bool) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut part = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        part(&self.policy.scope());
        part(self.database.as_bytes());
        part(self.role.as_bytes());
        part(&[u8::from(open), u8::from(self.paths.catalog_first())]);
        let SessionLimits { read_only, statement_timeout_seconds, .. } = self.limits;
        part(&[u8::from(read_only), u8::from(statement_timeout_seconds.is_some())]);
        self.paths.schemas().iter().for_each(|schema| part(schema.as_bytes()));
        part(b"");
        match self.paths.functions().names() {
            Some(names) => names.for_each(|(schema, name)| {
                part(schema.as_bytes());
                part(name.as_bytes());
            }),
            None => part(b""),
        }
        part(b"");
        self.paths.functions().made().for_each(|name| part(name.as_bytes()));
        context.finish().as_ref().try_into().unwrap_or_default()
    }

    fn judge_all(&self, statements: &[Statement], open: bool, moment: &Moment<'_>) -> Judgement {
        let mut paths = self.paths.clone();
        let mut all = Judgement::default();
        for statement in statements {
            all = all.and(self.judge_one(statement, &paths, open, moment));
            if all.denied.is_some() {
                return all;
            }
            paths.step(statement);
        }
        all
    }

    fn judge_one(&self, statement: &Statement, paths: &Paths, open: bool, moment: &Moment<'_>) -> Judgement {
        if let Some(fault) = self.refused_setting(statement).or_else(|| self.refused_code(statement)) {
            return Judgement { denied: Some(fault), ..Judgement::default() };
        }
        let schemas = paths.schemas();
        let facts = self.facts(&schemas, paths, open, moment);
        let mut judgement = self.policy.judge(statement, &facts);
        match &statement.prepared {
            // What it keeps is judged now, and held when it is executed.
            Some(PreparedStep::Define(_)) => judgement.hold = None,
            Some(PreparedStep::Execute(name)) => {
                for kept in self.kept(name) {
                    judgement = judgement.and(self.policy.judge(&kept, &facts));
                }
            }
            _ => {}
        }
        judgement
    }

    fn facts<'f>(
        &'f self,
        schemas: &'f [String],
        paths: &'f Paths,
        open: bool,
        moment: &Moment<'_>,
    ) -> StatementFacts<'f> {
        StatementFacts {
            now: moment.at,
            database: &self.database,
            database_role: &self.role,
            schemas,
            catalog_first: paths.catalog_first(),
            functions: paths.functions(),
            in_transaction: open,
            session_rows: self.counts.rows(),
            statements_last_minute: self.counts.counted() as u64,
            approvers: &[],
        }
    }

    /// What SQL's `PREPARE` may have kept under a name.
    fn kept(&self, name: &str) -> Vec<Arc<Statement>> {
        let kept = self.named.get(name).filter(|_| !self.named_lost).cloned();
        kept.unwrap_or_else(|| vec![Arc::new(Statement::unknown())])
    }

    /// The least that policies have to permit for a command to pass that was judged and not yet settled.
    #[must_use]
    pub fn needs(&self, parsed: &Parsed, moment: &Moment<'_>) -> BTreeSet<Need> {
        let mut paths = self.paths.clone();
        let mut needs = BTreeSet::new();
        for statement in &parsed.statements {
            let schemas = paths.schemas();
            let facts = self.facts(&schemas, &paths, (moment.open)(), moment);
            needs.extend(self.policy.needs(statement, &facts));
            if let Some(PreparedStep::Execute(name)) = &statement.prepared {
                needs.extend(self.kept(name).iter().flat_map(|kept| self.policy.needs(kept, &facts)));
            }
            paths.step(statement);
        }
        needs
    }

    /// Settings by which a session would change how it is understood, or what limits it.
    fn refused_setting(&self, statement: &Statement) -> Option<Fault> {
        let refused = |name: &str, value: &SettingValue| match name {
            "standard_conforming_strings" => !stated(value, &["on", "true", "1", "yes"]),
            "client_encoding" => !stated(value, &["utf8", "utf-8", "unicode"]),
            "default_transaction_read_only" | "transaction_read_only" => {
                self.limits.read_only && !stated(value, &["on", "true", "1", "yes"])
            }
            "statement_timeout" => self.limits.statement_timeout_seconds.is_some(),
            _ => false,
        };
        let setting = statement.settings.iter().find(|setting| refused(&setting.name, &setting.value))?;
        let name: String = setting.name.chars().take(64).flat_map(char::escape_debug).collect();
        let public = format!("the setting `{name}` may not be changed to that in this session");
        Some(
            Fault::new("policy.setting", Blame::NotAllowed, public)
                .help("leave the setting as the session began with it"),
        )
    }

    /// Code that nobody here reads could lift what limits the session.
    fn refused_code(&self, statement: &Statement) -> Option<Fault> {
        let limited = self.limits.read_only || self.limits.statement_timeout_seconds.is_some();
        let code = |kind| matches!(kind, Kind::Do | Kind::Call | Kind::Unknown);
        (limited && statement.accesses.iter().any(|access| code(access.kind))).then(|| {
            let public = "a block of code, or what is not understood, could lift the limits of this session";
            Fault::new("policy.code", Blame::NotAllowed, public).help("send the statements themselves")
        })
    }

    /// A command goes on: what it does to names.
    fn released(&mut self, id: CommandId, parsed: &Parsed) {
        let moves = |statement: &Statement| {
            !statement.settings.is_empty()
                || statement.prepared.is_some()
                || !statement.defines.is_empty()
                || statement.accesses.iter().any(|access| access.relation.is_none())
        };
        if !parsed.statements.iter().any(moves) {
            return;
        }
        self.paths.released(id, &parsed.statements);
        for statement in &parsed.statements {
            if let Some(PreparedStep::Define(name)) = &statement.prepared {
                self.named_lost |= self.named.values().map(Vec::len).sum::<usize>() >= MOST_NAMED;
                if !self.named_lost {
                    let kept = Statement { prepared: None, ..statement.clone() };
                    self.named.entry(name.clone()).or_default().push(Arc::new(kept));
                }
            }
        }
    }
}

/// Whether what it does stands in it, its literals apart: not in code, names or statements that these hold.
fn says_itself(statement: &Statement) -> bool {
    let data = |kind| {
        use Kind::{Delete, Insert, Lock, Select, Truncate, Update};
        matches!(kind, Select | Insert | Update | Delete | Truncate | Lock | Kind::CopyIn | Kind::CopyOut)
    };
    !statement.literal
        && statement.accesses.iter().all(|access| data(access.kind))
        && statement.functions.iter().all(|function| only_computes(&function.name))
}

fn stated(value: &SettingValue, good: &[&str]) -> bool {
    match value {
        SettingValue::Stated(values) => {
            matches!(values.as_slice(), [value] if good.iter().any(|good| value.eq_ignore_ascii_case(good)))
        }
        SettingValue::Text(text) => good.iter().any(|good| text.trim().eq_ignore_ascii_case(good)),
        // The session began with it.
        SettingValue::Default => true,
        SettingValue::Computed => false,
    }
}

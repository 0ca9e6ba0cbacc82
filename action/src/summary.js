// The job's summary: which targets were reached, how often, and under which writs.

const MOST_WRITS = 50;
const MOST_REFUSALS = 20;
const KEY = /^[A-Za-z0-9_-]{43}$/;

// How the ways came to their end where their process did not say it.
const ENDS = {
  gone: "; the process that kept them open was gone before the job's end",
  killed: "; the process that kept them open had to be killed",
  stuck: "; the process that kept them open could not be ended",
};

// Text from outside: neither markup nor a cell's end.
const plain = (text) => {
  const shown = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return shown.replace(/[\\`*_{}[\]()#+!|~@:$>]/g, (mark) => `&#${mark.codePointAt(0)};`);
};

const listed = (all, most) => {
  const more = all.length > most ? [`and ${all.length - most} more`] : [];
  return [...all.slice(0, most), ...more].join(", ");
};

export const markdown = ({ gateway, reason, events, how }) => {
  const ready = events.find(({ event }) => event === "ready");
  if (!ready) return "";
  const rows = ready.targets.map(({ name }) => {
    const own = events.filter(({ target }) => target === name);
    const opened = own.filter(({ event }) => event === "opened");
    const refused = own.filter(({ event }) => event === "refused");
    const writs = opened.map(({ writ }) => writ).filter(Boolean);
    return `| ${plain(name)} | ${opened.length} | ${refused.length} | ${listed(writs.map(plain), MOST_WRITS)} |`;
  });
  const refusals = events.filter(({ event }) => event === "refused");
  const told = refusals.slice(0, MOST_REFUSALS).map(({ target, code, words }) => `- ${plain(target)}: ${plain(words)} (${plain(code)})`);
  const over = events.find(({ event }) => event === "ended");
  const close = over ? `, closed at ${plain(over.at)}: ${over.why === "a signal" ? "the job ended" : plain(over.why)}` : ENDS[how] ?? "";
  return [
    "### Writ",
    "",
    `Ways through ${plain(gateway)}, opened at ${plain(ready.at)}${close}.`,
    ...(reason ? ["", `Reason: ${plain(reason)}`] : []),
    "",
    "| target | sessions | refused | writs |",
    "|---|---|---|---|",
    ...rows,
    ...(told.length > 0 ? ["", "Refused:", "", ...told] : []),
    "",
    ...(KEY.test(ready.key) ? [`\`writ sessions ls --key=${ready.key}\` lists the job's sessions.`] : []),
    "`writ writs show WRIT` shows which policy allowed a session; its statements are in its recording.",
    "",
  ].join("\n");
};

// Package cli is the command line of Assay: flags, tables for people, JSON for programs, and exit codes.
//
// It decides nothing about logs, rules or alerts. All it needs of the process it is handed as a System, so that every
// command can be run in a test.
//
// # Exit codes
//
// 0: nothing went wrong. 1: an error, or wrong usage; what could be read is shown all the same. 2: with --fail-on, an alert
// of that severity or above stands, be it new or known: its rule is enabled and nobody has closed it. 3: with --strict, a
// record was set aside, or, of config check, there are warnings. Of several, the first in the order 1, 2, 3.
//
// # JSON
//
// Scripts may rely on these keys. New ones may be added; none is renamed or removed.
//
// assay detect --output json writes one document, {"alerts": [ALERT…], "summary": SUMMARY}; --output jsonl an ALERT a line;
// --output cloudevents the alert in the form of package alert as a CloudEvent 1.0 a line. assay alerts list writes the
// same without a summary.
//
// An ALERT, the gravest first, then the latest:
//
//	id                     beginning with its UTC day, yyyymmdd
//	ruleId, title          the rule; leg, why: which of its ways to match did, and one sentence on it
//	severity               info, low, medium, high or critical
//	strength               of the evidence: weak, moderate or strong
//	stage                  enabled, or observe where the rule pages nobody
//	status, verdict        what analysts made of it: open, acknowledged or closed; true-positive, false-positive or benign
//	count                  findings in the store
//	countInRun, state      findings of this run; new or known (of detect alone)
//	firstSeen, lastSeen    event times in UTC
//	continues              true where an alert of the day before goes on
//	tenantId, tenantName   the name where the configuration gives one
//	suppressed             why it pages nobody although its rule does: name, reason, owner, expires of the suppression
//	keyName, key           what findings are grouped by: "mailbox" and its id
//	subject                user, userId, app, appId, address, mailbox, tokenId, sessionId, keyId: as the log claims
//	app                    the application's name, else its id
//	address                the same as in subject
//	related                others of the day about the same token, session or mailbox: id, ruleId, severity, stage, shares
//	facts                  the comparisons that made the rule match: field, value, op, operand, truth
//	places                 of the first records: "file:line", "#n" behind it within an array
//	provenance             run, assay (its version) and reference (version of reference data, "+" hash of the configuration)
//
// The SUMMARY of a run; records = evaluated + ignored + setAside:
//
//	records, evaluated
//	ignored, ignoredByCategory                  records that no rule reads
//	setAside, setAsideByReason, setAsidePlaces, setAsideDetails  records that could not be read, and where the first ones stand
//	findings, newFindings
//	alerts                                      by severity, of enabled rules
//	suppressed                                  by suppression: findings, alerts of nothing else, reason, owner, expires
//	observed, observing                         alerts by rule that only observes, and by rule why it does
//	notEvaluable                                by rule: records on which it could not be decided; missing, the most frequent first
//	skippedFiles                                files in folders that are no logs
//	seconds
package cli

//! Every limit on what comes from outside, each with its reason. Settings may only lower them where the configuration
//! says so.

/// Longest SPIFFE ID, in bytes (SPIFFE-ID §2.3: 2048 must be supported, more should not be generated).
pub const SPIFFE_ID_BYTES_MAX: usize = 2048;
/// Longest trust domain name, in bytes (SPIFFE-ID §2.1).
pub const TRUST_DOMAIN_BYTES_MAX: usize = 255;
/// How long a TLS handshake may take, in seconds: two round trips and a signature, with room for a bad network.
pub const HANDSHAKE_SECONDS_DEFAULT: u64 = 5;
/// Most connections of workloads at a time: each costs some tens of KiB. Workloads keep theirs, so this bounds workloads.
pub const CONNECTIONS_DEFAULT: u32 = 4096;
/// Largest gRPC message that is decoded: a report with the longest arguments and result fits twice. It bounds a request as a
/// whole too: not every entry of the longest list can have the longest arguments.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Largest policy bundle, all files together.
pub const BUNDLE_BYTES_MAX: usize = 4 << 20;
/// Most files of a policy bundle.
pub const BUNDLE_FILES_MAX: usize = 512;
/// Largest manifest of a policy bundle, all signatures with it.
pub const MANIFEST_BYTES_MAX: usize = 32 << 10;
/// Most signatures of a manifest: each is verified.
pub const MANIFEST_SIGNATURES_MAX: usize = 16;
/// Most keys that may sign bundles.
pub const SIGNING_KEYS_MAX: usize = 64;
/// Most activations that wait for a second person at a time.
pub const POLICY_PROPOSALS_MAX: usize = 16;
/// Most of them of one person, so that nobody takes the room of all others.
pub const POLICY_PROPOSALS_PER_PERSON_MAX: usize = 4;
/// Highest revision of a policy bundle: the largest whole number that every JSON reader takes as it is (RFC 8259 §6).
pub const POLICY_REVISION_MAX: u64 = (1 << 53) - 1;
/// Most by which a revision rises at once, so that none is the last. A first one that counts milliseconds is below it.
pub const POLICY_REVISION_STEP_MAX: u64 = 1 << 41;
/// Bundles that are known to have been in force, the latest: ten years of one each day.
pub const POLICIES_REMEMBERED_MAX: usize = 4096;
/// Longest intent, in bytes: a page of text.
pub const INTENT_BYTES_MAX: usize = 16 << 10;
/// Longest purpose, in bytes.
pub const PURPOSE_BYTES_MAX: usize = 4 << 10;
/// Longest human-readable reason that accompanies a revocation, a pause or a signal, in bytes.
pub const REASON_BYTES_MAX: usize = 2 << 10;
/// Most access entries of one request: one call rarely needs more than one.
pub const ACCESS_ENTRIES_MAX: usize = 16;
/// Longest arguments of one access or reported call, in bytes of JSON.
pub const ARGUMENTS_BYTES_MAX: usize = 64 << 10;
/// Longest reported result, in bytes of JSON.
pub const RESULT_BYTES_MAX: usize = 256 << 10;
/// Most values of one reported call that are told by digest: as many as a listing of a hundred records of ten fields has.
pub const DIGESTED_FIELDS_MAX: usize = 1024;
/// Longest path of such a value, in bytes.
pub const DIGESTED_PATH_BYTES_MAX: usize = 256;
/// Deepest nesting of JSON that is read.
pub const JSON_DEPTH_MAX: usize = 32;
/// Most values in one JSON document.
pub const JSON_VALUES_MAX: usize = 20_000;
/// Most digits of an amount, and most places behind its point; also of what amounts add up to.
pub const NUMBER_DIGITS_MAX: u32 = 30;
/// Most places of an amount behind its point, where amounts are added up: what no float of a sum of money exceeds, and no
/// currency.
pub const AMOUNT_PLACES_MAX: u32 = 18;
/// Longest name of a tool, an action, a data class, a signal.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest resource, audience, initiator or owner, in bytes.
pub const REFERENCE_BYTES_MAX: usize = 1024;
/// Most actions or resources of one access.
pub const ACCESS_LIST_MAX: usize = 64;
/// Most sink values judged in one request.
pub const SINK_VALUES_MAX: usize = 256;
/// Longest canonical sink value, in bytes.
pub const SINK_VALUE_BYTES_MAX: usize = 4 << 10;
/// Most tools of a ceiling.
pub const CEILING_TOOLS_MAX: usize = 256;
/// Most values that a ceiling lists for one sink.
pub const CEILING_VALUES_MAX: usize = 1024;
/// Most patterns of a ceiling, of all its sinks and resources together: each may be held against each value, and against each other.
pub const CEILING_PATTERNS_MAX: usize = 4096;
/// Most sets of accounts of a catalogue.
pub const ACCOUNT_SETS_MAX: usize = 256;
/// Longest caller-chosen request id, prompt id or tool call id, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Deepest delegation: a task, and sub-tasks below it.
pub const DELEGATION_DEPTH_MAX: u32 = 8;
/// Longest time that a policy bundle may only observe, in seconds from its activation: 30 days. Who needs longer says so anew.
pub const OBSERVE_SECONDS_MAX: u64 = 30 * 24 * 3600;
/// Longest life of a task, in seconds: 30 days.
pub const TASK_SECONDS_MAX: u64 = 30 * 24 * 3600;
/// Longest life of a token, in seconds.
pub const TTL_SECONDS_MAX: u64 = 900;
/// Longest life of a token that is bound to no key, in seconds: whoever gets hold of it has little time.
pub const UNBOUND_TTL_SECONDS_MAX: u64 = 60;
/// Life of a token when neither request nor policy says, in seconds.
pub const TTL_SECONDS_DEFAULT: u64 = 300;
/// How far `nbf` lies before `iat`, in seconds, for clocks that differ.
pub const NOT_BEFORE_SKEW_SECONDS: u64 = 5;
/// Largest page of a listing.
pub const PAGE_SIZE_MAX: u32 = 500;
/// Page size when the caller asks for none.
pub const PAGE_SIZE_DEFAULT: u32 = 100;
/// Largest token or bearer header that is read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Most live or suspended grants of a root task and all below it: whatever concerns one of them has all decided again, before
/// it is answered.
pub const OPEN_GRANTS_PER_FAMILY_MAX: usize = 1024;
/// Most terminal answers of a root task and all below it: as many request ids are remembered.
pub const ANSWERS_PER_FAMILY_MAX: usize = 100_000;
/// Most approvals of a task, whatever became of them: as many questions to people are remembered.
pub const APPROVALS_PER_TASK_MAX: usize = 256;
/// Longest time that a glass stands open, in seconds: an hour is enough for an emergency, and for asking again.
pub const GLASS_SECONDS_MAX: u64 = 3600;
/// Most grants that one glass is good for.
pub const GLASS_USES_MAX: u32 = 16;
/// Most glasses of one task, whatever became of them.
pub const GLASSES_PER_TASK_MAX: usize = 32;
/// Shortest justification of a glass, in characters: a word is none.
pub const JUSTIFICATION_CHARS_MIN: usize = 12;
/// Most sub-tasks below one root task, all levels together.
pub const SUBTASKS_PER_ROOT_MAX: usize = 256;
/// Most signals kept for one task family.
pub const SIGNALS_PER_TASK_MAX: usize = 1024;
/// Most signals of different names that one source may add to a task family, so that none takes the room of another.
pub const SIGNALS_PER_SOURCE_MAX: usize = 64;
/// Most tools of a catalogue: what a large organisation offers to its agents, within [`BUNDLE_BYTES_MAX`].
pub const CATALOGUE_TOOLS_MAX: usize = 4096;
/// Most data classes, actions, sinks or conflicts of one tool; most networks or audiences of one identity.
pub const TOOL_LIST_MAX: usize = 64;
/// Longest description of a tool, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4 << 10;
/// Most patterns of identities.
pub const IDENTITIES_MAX: usize = 4096;
/// Most decisions that one what-if decides again: half a minute or so. What it has not come to, the next goes on with.
pub const WHATIF_DECISIONS_MAX: u64 = 100_000;
/// Most flips that one what-if lists; all of them are counted. More are read by nobody.
pub const WHATIF_FLIPS_MAX: u64 = 10_000;
/// Most what-ifs that run at a time at one door: each keeps a thread and the disk busy.
pub const WHATIFS_MAX: usize = 1;
/// Most secrets that a webhook is signed with: the present one, the next, and one that was forgotten.
pub const WEBHOOK_SECRETS_MAX: usize = 3;
/// Most labels of one person for one decision, replaced ones included: each stays on record. Whoever changes her mind more often does
/// not know.
pub const LABELS_PER_PERSON_MAX: usize = 4;
/// Most persons who label one decision.
pub const LABELLERS_PER_DECISION_MAX: usize = 64;
/// Most labels that one page of a listing looks through for later ones of the same persons: a second or so.
pub const LABELS_AHEAD_MAX: usize = 100_000;
/// Most listings of labels that run at a time at one door: each keeps a thread and the disk busy.
pub const LABEL_LISTINGS_MAX: usize = 4;
/// Most decisions that one calibration counts, the latest first: some seconds of reading.
pub const CALIBRATE_DECISIONS_MAX: usize = 200_000;
/// Most labels that one calibration takes, the latest first: they are kept in memory while it runs.
pub const CALIBRATE_LABELS_MAX: usize = 50_000;
/// Most labels that it reads to find those: what was said of decisions out of its span, or replaced, is left out.
pub const CALIBRATE_LABELS_READ_MAX: usize = 500_000;
/// Longest time that people have for an answer, in seconds: a week.
pub const ANSWER_SECONDS_MAX: u64 = 7 * 24 * 3600;
/// Most calibrations that run at a time at one door: each keeps a thread and the disk busy.
pub const CALIBRATIONS_MAX: usize = 1;
/// Most policies of a bundle: ten times the size at which the cost of a decision is measured.
pub const POLICIES_MAX: usize = 20_000;
/// Life of a token in a band whose floor is `narrowed`, in seconds: one call, and then it is asked again.
pub const FLOOR_TTL_SECONDS: u64 = 60;
/// Most external scorers: each is asked about every request that concerns it.
pub const SCORERS_MAX: usize = 8;
/// Longest name of an external scorer, in bytes.
pub const SCORER_NAME_BYTES_MAX: usize = 32;
/// Largest question to an external scorer, in bytes: what does not fit counts as the worst that it could say.
pub const QUESTION_BYTES_MAX: usize = 64 << 10;
/// Largest answer of a scorer that is read, in bytes: a score, a code and a sentence, as a chat endpoint wraps them.
pub const SCORE_BYTES_MAX: usize = 64 << 10;

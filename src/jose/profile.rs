//! What a kind of token may look like, as data: so that kinds can't be taken for each other (RFC 8725 §3.12), and a new
//! kind is a constant and not another parser.

use super::algorithm::Algorithm;
use crate::model::limits::TOKEN_BYTES_MAX;

/// The rules of one kind of token. Nothing but `alg`, `typ` and `kid` stands in a header, except what `passed_over` names.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// The allowed algorithms.
    pub algorithms: &'static [Algorithm],
    /// The allowed values of `typ`.
    pub types: &'static [&'static str],
    /// Whether `typ` is compared without regard to case, as media types are.
    pub types_in_any_case: bool,
    /// Whether `typ` may be left out.
    pub type_may_be_absent: bool,
    /// Whether `kid` may be left out.
    pub key_id_may_be_absent: bool,
    /// Header members that are allowed and not looked at. Never one that changes what the token means or which key is used.
    pub passed_over: &'static [&'static str],
    /// Longest token in bytes.
    pub bytes_max: usize,
}

/// JWT-SVID (JWT-SVID §2): a closed header, the nine algorithms, `typ` absent or `JWT` or `JOSE`. The specification leaves
/// `kid` optional; what issues SVIDs sets it, and so a key need never be guessed.
pub const JWT_SVID: Profile = Profile {
    algorithms: &[
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ],
    types: &["JWT", "JOSE"],
    types_in_any_case: false,
    type_may_be_absent: true,
    key_id_may_be_absent: false,
    passed_over: &[],
    bytes_max: TOKEN_BYTES_MAX,
};

/// What people's issuers sign with: whatever is not HMAC. Each issuer is held to its own, shorter list.
const OF_PEOPLE: &[Algorithm] = &Algorithm::ALL;

/// An access token for us (RFC 9068 §2.1): `typ` says so and is never left out. `x5t` names a certificate that nobody looks up.
pub const ACCESS_TOKEN: Profile = Profile {
    algorithms: OF_PEOPLE,
    types: &["at+jwt", "application/at+jwt"],
    types_in_any_case: true,
    type_may_be_absent: false,
    key_id_may_be_absent: false,
    passed_over: &["x5t", "x5t#S256"],
    bytes_max: TOKEN_BYTES_MAX,
};

/// An ID token (OpenID Connect Core §2): `typ` says `JWT` or nothing, so that what calls itself something else is not taken for
/// one.
pub const ID_TOKEN: Profile = Profile { types: &["JWT"], type_may_be_absent: true, ..ACCESS_TOKEN };

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

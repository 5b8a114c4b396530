//! A text as a token: of both kinds that come in, its claims, and the whole way of a JWT-SVID. Nobody here has the key, so nothing
//! verifies.
#![no_main]

use std::sync::LazyLock;

use carnet::identity::jwt_svid::{JwtAuthorities, JwtSvidRules};
use carnet::identity::svid::ShownIdentity;
use carnet::jose::claim_set::ClaimSet;
use carnet::jose::jws::Unverified;
use carnet::jose::profile::JWT_SVID;
use carnet::model::limits::TOKEN_BYTES_MAX;
use carnet::model::time::Timestamp;
use carnet::token::claims::Claims;
use carnet::token::header::TokenType;

/// The public key of RFC 7515 A.3, under the name that the vectors use.
const BUNDLE: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","use":"jwt-svid","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

static AUTHORITIES: LazyLock<JwtAuthorities> =
    LazyLock::new(|| JwtAuthorities::of([("a.test".parse().unwrap(), BUNDLE)]));

libfuzzer_sys::fuzz_target!(|text: &str| {
    for profile in [&JWT_SVID, TokenType::AccessToken.profile(), TokenType::Plain.profile()] {
        if let Ok(token) = Unverified::parse(text, profile) {
            assert!(text.len() <= TOKEN_BYTES_MAX && text.split('.').count() == 3);
            assert!(profile.algorithms.contains(&token.algorithm()));
            assert!(token.key_id().is_some_and(|id| !id.is_empty()));
        }
    }
    let _shown = ShownIdentity::of_token(text);
    let rules = JwtSvidRules { audience: "carnet".to_owned(), life_max: None };
    assert!(AUTHORITIES.verify(text, &rules, Timestamp::from_secs(1_790_000_000)).is_err());
    // As a payload whose signature held.
    let _claims = Claims::parse(text.as_bytes());
    if let Ok(claims) = ClaimSet::parse(text.as_bytes()) {
        if let Ok(audiences) = claims.audiences() {
            assert!(!audiences.is_empty() && audiences.iter().all(|audience| !audience.is_empty()));
        }
        let _dates = (claims.numeric_date("exp"), claims.numeric_date("nbf"), claims.text("sub"));
    }
});

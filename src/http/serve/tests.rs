//! How long a connection is kept depends on how many there are.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// What is answered to two requests on one connection, when there are others or not.
async fn answered(busy_above: usize) -> String {
    let (near, mut far) = tokio::io::duplex(4096);
    let (end, ending) = watch::channel(false);
    let router = Router::new().route("/livez", get(async || "alive"));
    let connections = tokio_stream::iter([Ok(near)]).chain(tokio_stream::pending());
    let serving = tokio::spawn(serve(connections, busy_above, router, ending));
    let request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    far.write_all(request).await.unwrap();
    let mut first = vec![0; 4096];
    let read = far.read(&mut first).await.unwrap();
    first.truncate(read);
    // A connection that was for one request takes no other.
    let second = match far.write_all(request).await {
        Ok(()) => far.read(&mut [0; 4096]).await.unwrap_or(0),
        Err(_) => 0,
    };
    end.send_replace(true);
    drop(far);
    serving.await.unwrap();
    format!("{} then {}", String::from_utf8(first).unwrap(), if second > 0 { "more" } else { "nothing" })
}

#[tokio::test]
async fn a_connection_is_kept_until_there_are_many() {
    let usual = answered(1).await;
    assert!(usual.contains("alive") && usual.ends_with("then more"), "{usual}");
    let busy = answered(0).await;
    assert!(busy.contains("alive") && busy.ends_with("then nothing"), "{busy}");
}

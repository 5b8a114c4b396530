//! A receiver of webhooks that does as a test says: over TLS on loopback, with any status, or none, or one that comes letter by letter.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet::entropy::secret_file;
use carnet::identity::web::post::{PostUrl, Poster};
use carnet::model::notice::NoticeType;
use carnet::notify::WebhookOptions;
use carnet::notify::secret::Secrets;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::issuer::WebIdentity;
use crate::support::pki::soon;

/// How long one try may take, unless a test says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// How long one may take with a receiver that does not answer: several of them fit into what a test waits, and a try that is to succeed
/// fits into one on a machine that is busy.
pub const SHORT: Duration = Duration::from_secs(4);

/// How it answers one request.
#[derive(Clone)]
pub enum Answer {
    /// With that status, and these lines of the head.
    Status(u16, String),
    /// Not at all.
    Nothing,
    /// With that status, and a body that never ends.
    EndlessBody(u16),
    /// With a head that never ends.
    EndlessHead,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self::Status(status, String::new())
    }
}

/// A request that came.
#[derive(Clone)]
pub struct Got {
    /// All of it, as it came.
    pub bytes: Vec<u8>,
    pub path: String,
    headers: BTreeMap<String, String>,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    pub fn approval(&self) -> String {
        self.json()["data"]["approval_id"].as_str().unwrap().to_owned()
    }

    /// The signatures that hold by one of these secrets, as a receiver finds them: without our code, from the words of the standard.
    pub fn signatures_by(&self, secret: &[u8]) -> usize {
        let signed = format!("{}.{}.{}", self.id(), self.header("webhook-timestamp"), self.body);
        let expected = format!("v1,{}", STANDARD.encode(hmac(secret, signed.as_bytes())));
        self.header("webhook-signature").split(' ').filter(|signature| *signature == expected).count()
    }
}

/// RFC 2104 with SHA-256; keys are no longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block.to_vec()
    };
    let inner = digest(&SHA256, &[pad(0x36), message.to_vec()].concat());
    digest(&SHA256, &[pad(0x5c), inner.as_ref().to_vec()].concat()).as_ref().to_vec()
}

#[derive(Default)]
struct Shared {
    got: watch::Sender<Vec<Got>>,
    answers: Mutex<VecDeque<Answer>>,
    otherwise: Mutex<Option<Answer>>,
    /// The type that it refuses, and with which status.
    refuses: Mutex<Option<(&'static str, u16)>>,
    /// Requests that are being answered, and the most that ever were.
    at_once: Mutex<(usize, usize)>,
}

/// The receiver. Its server ends with it.
pub struct Receiver {
    pub url: String,
    pub web: WebIdentity,
    shared: Arc<Shared>,
    server: AbortHandle,
    folder: TempDir,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    pub async fn start() -> Self {
        Self::listening(true).await
    }

    /// One that is reached in the clear.
    pub async fn plain() -> Self {
        Self::listening(false).await
    }

    async fn listening(over_tls: bool) -> Self {
        let web = WebIdentity::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if over_tls { "https" } else { "http" };
        let url = format!("{scheme}://{}/in?key=open-sesame", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let tls = over_tls.then(|| web.acceptor());
        let server = tokio::spawn(serve(listener, tls, Arc::clone(&shared))).abort_handle();
        Self { url, web, shared, server, folder: TempDir::new().unwrap() }
    }

    /// Answers the next requests so, and those after them with 200.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answers.lock().unwrap().extend(answers);
    }

    /// Answers all requests so, from now on.
    pub fn always(&self, answer: Option<Answer>) {
        *self.shared.otherwise.lock().unwrap() = answer;
    }

    /// Answers notices of that type so, from now on.
    pub fn refuses(&self, kind: &'static str, status: u16) {
        *self.shared.refuses.lock().unwrap() = Some((kind, status));
    }

    /// The requests that came, once there are so many.
    pub async fn got(&self, count: usize) -> Vec<Got> {
        let mut got = self.shared.got.subscribe();
        let got = soon(got.wait_for(|got| got.len() >= count)).await.unwrap().clone();
        assert_eq!(got.len(), count, "more came than expected");
        got
    }

    /// The first request of that type, once it has come.
    pub async fn got_of(&self, kind: &str) -> Got {
        let mut got = self.shared.got.subscribe();
        let got = soon(got.wait_for(|got| got.iter().any(|one| one.kind() == kind))).await.unwrap().clone();
        got.into_iter().find(|one| one.kind() == kind).unwrap()
    }

    pub fn count(&self) -> usize {
        self.shared.got.borrow().len()
    }

    /// The most requests that it ever had at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.at_once.lock().unwrap().1
    }

    /// A file with that secret.
    pub fn secret_file(&self, secret: &[u8]) -> PathBuf {
        let path = self.folder.path().join(format!("{}.secret", secret[0]));
        secret_file::replace(&path, format!("whsec_{}\n", STANDARD.encode(secret)).as_bytes()).unwrap();
        path
    }

    /// How a broker is told of it.
    pub fn options(&self, name: &str, secrets: &[&[u8]]) -> WebhookOptions {
        let files: Vec<PathBuf> = secrets.iter().map(|secret| self.secret_file(secret)).collect();
        let url = PostUrl::parse(&self.url, true).unwrap();
        WebhookOptions {
            name: name.parse().unwrap(),
            poster: Poster::new(url, Some(&self.web.ca_file())).unwrap(),
            secrets: Secrets::read(&files).unwrap(),
            types: NoticeType::ALL.to_vec(),
            link_base: Some("https://carnet.example.org/approvals/".to_owned()),
            deadline: DEADLINE,
        }
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else { return };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            match tls {
                Some(tls) => {
                    if let Ok(stream) = tls.accept(tcp).await {
                        let _broken = answer(stream, &shared).await;
                    }
                }
                None => {
                    let _broken = answer(tcp, &shared).await;
                }
            }
        });
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(bytes.clone()).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers: BTreeMap<_, _> = lines.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).await?;
    bytes.extend(&body);
    let got = Got { bytes, path, headers, body: String::from_utf8(body).unwrap() };
    let counted = Counted::new(shared);
    let next = shared.answers.lock().unwrap().pop_front();
    let refuses = shared.refuses.lock().unwrap().filter(|(kind, _)| *kind == got.kind());
    let next = next.or(refuses.map(|(_, status)| Answer::status(status)));
    let answer = next.or_else(|| shared.otherwise.lock().unwrap().clone()).unwrap_or(Answer::status(200));
    shared.got.send_modify(|all| all.push(got));
    match answer {
        Answer::Status(status, lines) => {
            // Who has the answer may come again at once.
            drop(counted);
            let head = format!("HTTP/1.1 {status} X\r\n{lines}content-length: 2\r\nconnection: close\r\n\r\nok");
            stream.write_all(head.as_bytes()).await?;
            stream.shutdown().await
        }
        Answer::Nothing => drained(stream).await,
        Answer::EndlessBody(status) => {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 1000000\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            trickled(stream, b"x").await
        }
        Answer::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 X\r\n").await?;
            trickled(stream, b"a: b\r\n").await
        }
    }
}

/// Says nothing until the other end hangs up.
async fn drained(mut stream: impl AsyncRead + Unpin) -> std::io::Result<()> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.map(drop)
}

/// Says a little now and then, until the other end hangs up.
async fn trickled(mut stream: impl AsyncWrite + Unpin, bit: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(bit).await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Counted<'a>(&'a Shared);

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut at_once = shared.at_once.lock().unwrap();
        at_once.0 += 1;
        at_once.1 = at_once.1.max(at_once.0);
        Self(shared)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.at_once.lock().unwrap().0 -= 1;
    }
}

//! Scorers that do as a test says: within this process, behind a door that asks for an SVID, and as a chat endpoint.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carnet::broker::scorers::{Answering, RiskScorer, ScorerFault, ScorerMode, ScorerOptions, ScorerPart};
use carnet::dev::workload_api::WorkloadApi;
use carnet::identity::accept::PeerAcceptor;
use carnet::identity::listen::{ListenLimits, listen};
use carnet::identity::peer::VerifiedPeer;
use carnet::identity::trust::{AcceptedDomains, Trust};
use carnet::model::access::Effect;
use carnet::model::time::Ttl;
use carnet::pb::v1::risk_scorer_server::RiskScorerServer;
use carnet::pb::v1::{ScoreRequest, ScoreResponse};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tonic::{Code, Request, Response, Status};

use super::issuer::WebIdentity;
use super::pki::Pki;

/// Who is asked, once it is known as whom.
pub type Scorers = Arc<dyn Fn(&Trust) -> Vec<ScorerPart> + Send + Sync>;

/// What a scorer does.
#[derive(Debug, Clone)]
pub enum Does {
    Answer(ScoreResponse),
    /// The same for one question; then nothing.
    Once(ScoreResponse),
    /// Nothing, until it does something else.
    Nothing,
    Fail,
    /// Answers with that status, where it is behind a door; fails otherwise.
    Status(Code),
    /// Finds that the question does not fit.
    TooLarge,
}

impl Does {
    pub fn score(score: f64) -> Self {
        let model = "judge".to_owned();
        Self::Answer(ScoreResponse {
            score: Some(score),
            model,
            model_version: "7".to_owned(),
            ..ScoreResponse::default()
        })
    }
}

/// A scorer within this process; clones are the same one.
#[derive(Debug, Clone)]
pub struct Fake {
    does: watch::Sender<Does>,
    asked: Arc<Mutex<Vec<ScoreRequest>>>,
}

impl Fake {
    pub fn new(does: Does) -> Self {
        Self { does: watch::Sender::new(does), asked: Arc::default() }
    }

    pub fn now_does(&self, does: Does) {
        self.does.send_replace(does);
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<ScoreRequest> {
        self.asked.lock().unwrap().clone()
    }

    pub async fn answer(&self, asked: &ScoreRequest) -> Result<ScoreResponse, ScorerFault> {
        self.asked.lock().unwrap().push(asked.clone());
        let does = self.does.subscribe().wait_for(|does| !matches!(does, Does::Nothing)).await.unwrap().clone();
        match does {
            Does::Answer(answer) => Ok(answer),
            Does::Once(answer) => {
                self.now_does(Does::Nothing);
                Ok(answer)
            }
            Does::TooLarge => Err(ScorerFault::TooLarge),
            Does::Nothing | Does::Fail | Does::Status(_) => Err(ScorerFault::Refused("Internal".to_owned())),
        }
    }

    /// As the broker is given it.
    pub fn part(&self, options: ScorerOptions) -> ScorerPart {
        ScorerPart { options, client: Arc::new(self.clone()) }
    }

    /// As the only one of a broker.
    pub fn alone(&self, options: ScorerOptions) -> Scorers {
        let part = self.part(options);
        Arc::new(move |_| vec![part.clone()])
    }
}

impl RiskScorer for Fake {
    fn score<'a>(&'a self, asked: &'a ScoreRequest, _within: Duration) -> Answering<'a> {
        Box::pin(self.answer(asked))
    }
}

/// One that the decision waits for, about everything but reading: 60 points at most, which alone ask a person, and 40 for silence.
pub fn inline() -> ScorerOptions {
    ScorerOptions {
        name: "judge".to_owned(),
        mode: ScorerMode::Inline,
        deadline: Duration::from_secs(5),
        points: 60,
        absent: 40,
        absent_reading: 0,
        effects: Effect::ALL.into_iter().filter(|effect| effect.is_effectful()).collect::<BTreeSet<_>>(),
        at_once: 4,
        failures_max: 1000,
        pause: Duration::from_secs(60),
    }
}

/// The same, asked after the decision: tokens live 30 seconds until it has answered.
pub fn trailing() -> ScorerOptions {
    ScorerOptions { mode: ScorerMode::Trailing { life_max: Ttl::from_secs(30).unwrap() }, ..inline() }
}

/// A scorer that implements the service, behind mutual TLS, as the workload at a path. Its server ends with it.
pub struct Served {
    /// Who came.
    pub peers: Arc<Mutex<Vec<String>>>,
    server: AbortHandle,
    _api: WorkloadApi,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Served {
    pub async fn start(listener: TcpListener, fake: &Fake, pki: &Pki, path: &str) -> Self {
        let (api, workload) = pki.workload(path).await;
        let trust = Trust::over(workload, AcceptedDomains::Own, pki.clock.clone()).unwrap();
        let acceptor = PeerAcceptor::new(&trust, Arc::new(|_| {})).unwrap();
        let peers = Arc::new(Mutex::new(Vec::new()));
        let service = RiskScorerServer::new(Service { fake: fake.clone(), peers: Arc::clone(&peers) });
        let server = tokio::spawn(async move {
            let _trust = trust;
            let incoming = listen(listener, acceptor, ListenLimits::default());
            let server = tonic::transport::Server::builder().add_service(service);
            drop(server.serve_with_incoming(incoming).await);
        });
        Self { peers, server: server.abort_handle(), _api: api }
    }
}

struct Service {
    fake: Fake,
    peers: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl carnet::pb::v1::risk_scorer_server::RiskScorer for Service {
    async fn score(&self, request: Request<ScoreRequest>) -> Result<Response<ScoreResponse>, Status> {
        if let Some(peer) = request.extensions().get::<Arc<VerifiedPeer>>() {
            self.peers.lock().unwrap().push(peer.spiffe_id().to_string());
        }
        let answer = self.fake.answer(request.get_ref()).await;
        let code = match *self.fake.does.borrow() {
            Does::Status(code) => code,
            _ => Code::Internal,
        };
        answer.map(Response::new).map_err(|_| Status::new(code, "SECRET-OF-THE-SCORER"))
    }
}

/// How a chat endpoint answers.
#[derive(Debug, Clone)]
pub enum Says {
    /// That, as the body of a whole answer.
    Body(u16, String),
    /// A byte now and then, for ever.
    Trickle,
    /// More and more, for ever.
    Flood,
}

/// A chat endpoint over HTTPS. Its server ends with it.
pub struct Chat {
    pub web: WebIdentity,
    pub url: String,
    says: Arc<Mutex<Says>>,
    /// Heads and bodies of what it was asked.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    server: AbortHandle,
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Chat {
    pub async fn start() -> Self {
        let web = WebIdentity::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/v1/chat/completions", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new(Says::Body(500, String::new())));
        let asked: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let (tls, how, heard) = (web.acceptor(), Arc::clone(&says), Arc::clone(&asked));
        let server = tokio::spawn(async move {
            loop {
                let Ok((tcp, _)) = listener.accept().await else { return };
                let (tls, how, heard) = (tls.clone(), Arc::clone(&how), Arc::clone(&heard));
                tokio::spawn(async move {
                    let Ok(mut stream) = tls.accept(tcp).await else { return };
                    let Some(question) = read_request(&mut stream).await else { return };
                    heard.lock().unwrap().push(question);
                    let says = how.lock().unwrap().clone();
                    let _gone = answer(&mut stream, says).await;
                });
            }
        });
        Self { web, url, says, asked, server: server.abort_handle() }
    }

    pub fn now_does(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// Answers as a model that scores so.
    pub fn scores(&self, content: &str) {
        let body = serde_json::json!({
            "model": "judge-2", "system_fingerprint": "fp_7",
            "choices": [{ "finish_reason": "stop", "message": { "role": "assistant", "content": content } }],
        });
        self.now_does(Says::Body(200, body.to_string()));
    }

    pub fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

async fn answer(stream: &mut (impl tokio::io::AsyncWrite + Unpin), says: Says) -> std::io::Result<()> {
    let head = |status: u16, length: usize| {
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )
    };
    match says {
        Says::Body(status, body) => {
            stream.write_all(head(status, body.len()).as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            stream.shutdown().await
        }
        Says::Trickle => {
            stream.write_all(head(200, 1 << 30).as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Says::Flood => {
            stream.write_all(head(200, 1 << 30).as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 1 << 14]).await?;
            }
        }
    }
}

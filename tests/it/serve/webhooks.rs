//! Receivers of webhooks as `serve` is told of them: in the configuration, with secrets from files.

use carnet::pb::v1::notification_service_client::NotificationServiceClient;

use super::*;
use crate::webhooks::receiver::Receiver;

const SECRET: &[u8] = &[3; 24];

#[tokio::test]
async fn a_check_reads_what_webhooks_need_and_a_start_tells_their_receivers() {
    let (machine, receiver) = (Machine::new(), Receiver::start().await);
    let (secret, ca_file) = (receiver.secret_file(SECRET), receiver.web.ca_file());
    let webhook = format!(
        "[[webhooks]]\nname = \"pager\"\nurl = {:?}\nsecret_files = [{secret:?}]\nca_file = {ca_file:?}\n",
        receiver.url
    );
    let settings = machine.settings_with(&webhook);
    let mode = |mode| fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let error = soon(check(settings.clone())).await.unwrap_err();
    assert!(matches!(&error, ServerError::Webhook { name, .. } if name.as_str() == "pager"), "{error:?}");
    mode(0o600);
    let absent = machine.settings_with(&webhook.replace("ca.pem", "absent.pem"));
    let error = soon(check(absent)).await.unwrap_err();
    assert!(matches!(error, ServerError::Webhook { .. }), "{error:?}");
    assert!(!format!("{settings:?}{error:?}").contains("sesame"));

    let checked = soon(check(settings)).await.unwrap();
    assert_eq!(receiver.count(), 0, "a check tells nobody anything");
    let running = soon(checked.start()).await.unwrap();
    let channel = soon(connect_unix(running.operator_socket().unwrap())).await.unwrap();
    let request = v1::TestWebhookRequest { webhook: "pager".to_owned() };
    let tried = NotificationServiceClient::new(channel).test_webhook(request).await.unwrap().into_inner();
    assert_eq!(tried.delivery.unwrap().outcome(), v1::DeliveryOutcome::Delivered);
    let got = receiver.got(1).await.remove(0);
    assert_eq!((got.kind().as_str(), got.signatures_by(SECRET)), ("test", 1));
    let kept = machine.pki.path("data/notify/pager.json");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&kept).unwrap().contains("sesame"));
    assert_eq!(soon(running.shutdown()).await, Drained::Whole);
}

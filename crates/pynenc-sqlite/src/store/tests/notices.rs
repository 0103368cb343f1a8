//! Tests of notifications between processes.

use super::*;

#[tokio::test]
async fn a_commit_of_another_connection_asks_the_listener_to_look_again() {
    let opened = Opened::new().await;
    let (sender, notices) = mpsc::channel();
    opened.store.listen(Box::new(move |notice| sender.send(notice == Notice::LookAgain).unwrap()));
    let foreign = Connection::open(opened.path()).unwrap();
    foreign.execute("CREATE TABLE mine (a)", []).unwrap();
    assert!(tokio::task::spawn_blocking(move || notices.recv().unwrap()).await.unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn a_notice_reaches_those_who_have_subscribed_and_the_sockets_go_with_their_owner() {
    let opened = Opened::new().await;
    let other = open(&opened.folder, "app").await.unwrap();
    let (sender, notices) = mpsc::channel();
    other.listen(Box::new(move |notice| {
        if let Notice::Sent(topic, notice) = notice {
            sender.send((topic, notice.to_vec())).unwrap();
        }
    }));
    other.subscribe(Topic::Hints);
    opened.store.notify(Topic::Signals, b"not this one");
    opened.store.notify(Topic::Hints, b"");
    opened.store.notify(Topic::Hints, b"two");
    for expected in [b"".to_vec(), b"two".to_vec()] {
        assert_eq!(notices.recv().unwrap(), (Topic::Hints, expected));
    }
    let sockets = beside(&opened.path(), "-wake");
    assert!(sockets.exists());
    drop(other);
    // There is nobody left.
    opened.store.notify(Topic::Hints, b"three");
    assert!(notices.recv().is_err());
    drop(opened.store);
    assert!(!sockets.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_whose_process_was_killed_is_removed() {
    let opened = Opened::new().await;
    let sockets = beside(&opened.path(), "-wake");
    std::fs::create_dir(&sockets).unwrap();
    let left = sockets.join(format!("{}-hints-77-a", opened.store.app.keys.number()));
    drop(std::os::unix::net::UnixDatagram::bind(&left).unwrap());
    assert!(left.exists());
    opened.store.notify(Topic::Hints, b"");
    assert!(!left.exists());
}

#[tokio::test]
async fn a_store_whose_folder_is_gone_can_be_closed() {
    let opened = Opened::new().await;
    opened.store.subscribe(Topic::Hints);
    drop(opened.folder);
    drop(opened.store);
}

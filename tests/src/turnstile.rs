//! A turnstile outside of every store: worker processes pass it, and it counts who is inside.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pynenc::prelude::*;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// Where the turnstile is, for the tasks of a worker process.
#[derive(Debug)]
pub struct Address(pub SocketAddr);

/// Goes through the turnstile, and stays inside until it is let out.
#[task(running_concurrency = keys(account), running_limit = 2, reroute_on_concurrency_control)]
pub async fn pass(account: u32, n: u32, #[inject] address: State<Address>) -> Result<u32> {
    stay(address.0, account).await.map_err(Error::other)?;
    Ok(n)
}

async fn stay(address: SocketAddr, account: u32) -> std::io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.write_all(format!("{account} {}\n", std::process::id()).as_bytes()).await?;
    stream.read_line(&mut String::new()).await.map(drop)
}

/// Who came in.
#[derive(Debug)]
pub struct Visitor {
    /// For which account.
    pub account: u32,
    /// The process that runs the body.
    pub process: u32,
    stay: Arc<Stay>,
    release: oneshot::Sender<()>,
}

impl Visitor {
    /// Lets it out; it counts as outside before its body goes on.
    pub fn release(self) {
        self.stay.end();
        // One whose process was killed waits no more.
        let _ = self.release.send(());
    }
}

/// How many are inside for an account, and how many were at most.
#[derive(Debug, Default, Clone, Copy)]
pub struct Inside {
    now: usize,
    /// The most there ever were.
    pub most: usize,
}

type Accounts = Arc<Mutex<BTreeMap<u32, Inside>>>;

/// One visitor inside, until it is let out or its connection ends.
#[derive(Debug)]
struct Stay {
    account: u32,
    accounts: Accounts,
    is_over: AtomicBool,
}

impl Stay {
    fn begin(account: u32, accounts: Accounts) -> Arc<Self> {
        change(&accounts, account, |it| Inside { now: it.now + 1, most: it.most.max(it.now + 1) });
        Arc::new(Self { account, accounts, is_over: AtomicBool::new(false) })
    }

    fn end(&self) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            change(&self.accounts, self.account, |it| Inside { now: it.now - 1, ..it });
        }
    }
}

fn change(accounts: &Accounts, account: u32, change: impl Fn(Inside) -> Inside) {
    let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
    let inside = accounts.entry(account).or_default();
    *inside = change(*inside);
}

/// The turnstile, in the process of the test.
#[derive(Debug)]
pub struct Turnstile {
    address: SocketAddr,
    visitors: mpsc::UnboundedReceiver<Visitor>,
    accounts: Accounts,
}

impl Turnstile {
    /// Opens a turnstile on a free port.
    ///
    /// # Errors
    ///
    /// No port can be had.
    pub async fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, accounts) = (listener.local_addr()?, Accounts::default());
        let (sender, visitors) = mpsc::unbounded_channel();
        let counted = accounts.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(admit(stream, sender.clone(), counted.clone()));
            }
        });
        Ok(Self { address, visitors, accounts })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next who comes in.
    pub async fn next(&mut self) -> Option<Visitor> {
        self.visitors.recv().await
    }

    /// How many were inside, by account.
    pub fn inside(&self) -> BTreeMap<u32, Inside> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts one visitor in; a process that is killed is inside no more.
async fn admit(stream: TcpStream, visitors: mpsc::UnboundedSender<Visitor>, accounts: Accounts) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let (account, process) = line.trim().split_once(' ')?;
    let (account, process) = (account.parse().ok()?, process.parse().ok()?);
    let stay = Stay::begin(account, accounts);
    let (release, released) = oneshot::channel();
    visitors.send(Visitor { account, process, stay: stay.clone(), release }).ok()?;
    let mut rest = String::new();
    tokio::select! {
        _ = released => stream.write_all(b"out\n").await.ok()?,
        _ = stream.read_line(&mut rest) => stay.end(),
    }
    Some(())
}

//! Counts the holders of concurrency slots, outside of every store. Worker processes connect over TCP while they hold
//! one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pynenc::prelude::*;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// The monitor's address, for the tasks of a worker process.
#[derive(Debug)]
pub struct Address(pub SocketAddr);

/// Reports to the monitor and holds the slot until the monitor releases it.
#[task(running_concurrency = keys(account), running_limit = 2, reroute_on_concurrency_control)]
pub async fn holds_slot(account: u32, n: u32, #[inject] address: State<Address>) -> Result<u32> {
    report_and_wait(address.0, account).await.map_err(Error::other)?;
    Ok(n)
}

async fn report_and_wait(address: SocketAddr, account: u32) -> std::io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.write_all(format!("{account} {}\n", std::process::id()).as_bytes()).await?;
    stream.read_line(&mut String::new()).await.map(drop)
}

/// A running task function that holds a slot.
#[derive(Debug)]
pub struct Holder {
    /// The account that the slot belongs to.
    pub account: u32,
    /// The worker process.
    pub process: u32,
    hold: Arc<Hold>,
    release: oneshot::Sender<()>,
}

impl Holder {
    /// Releases the slot. The monitor counts it as free before the task function returns.
    pub fn release(self) {
        self.hold.end();
        // A killed process waits no more.
        let _ = self.release.send(());
    }
}

/// The number of holders of an account.
#[derive(Debug, Default, Clone, Copy)]
pub struct Holders {
    now: usize,
    /// The highest number so far.
    pub most: usize,
}

type Accounts = Arc<Mutex<BTreeMap<u32, Holders>>>;

/// A held slot, until it is released or its connection ends.
#[derive(Debug)]
struct Hold {
    account: u32,
    accounts: Accounts,
    is_over: AtomicBool,
}

impl Hold {
    fn begin(account: u32, accounts: Accounts) -> Arc<Self> {
        change(&accounts, account, |it| Holders { now: it.now + 1, most: it.most.max(it.now + 1) });
        Arc::new(Self { account, accounts, is_over: AtomicBool::new(false) })
    }

    fn end(&self) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            change(&self.accounts, self.account, |it| Holders { now: it.now - 1, ..it });
        }
    }
}

fn change(accounts: &Accounts, account: u32, change: impl Fn(Holders) -> Holders) {
    let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
    let holders = accounts.entry(account).or_default();
    *holders = change(*holders);
}

/// The monitor, in the test's process.
#[derive(Debug)]
pub struct ConcurrencyMonitor {
    address: SocketAddr,
    holders: mpsc::UnboundedReceiver<Holder>,
    accounts: Accounts,
}

impl ConcurrencyMonitor {
    /// Opens a monitor on a free port.
    ///
    /// # Errors
    ///
    /// No port is available.
    pub async fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, accounts) = (listener.local_addr()?, Accounts::default());
        let (sender, holders) = mpsc::unbounded_channel();
        let counted = accounts.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(count_holder(stream, sender.clone(), counted.clone()));
            }
        });
        Ok(Self { address, holders, accounts })
    }

    /// The monitor's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next holder.
    pub async fn next(&mut self) -> Option<Holder> {
        self.holders.recv().await
    }

    /// The holders of each account.
    pub fn holders(&self) -> BTreeMap<u32, Holders> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts one holder. A connection that ends early belonged to a killed process.
async fn count_holder(stream: TcpStream, holders: mpsc::UnboundedSender<Holder>, accounts: Accounts) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let (account, process) = line.trim().split_once(' ')?;
    let (account, process) = (account.parse().ok()?, process.parse().ok()?);
    let hold = Hold::begin(account, accounts);
    let (release, released) = oneshot::channel();
    holders.send(Holder { account, process, hold: hold.clone(), release }).ok()?;
    let mut rest = String::new();
    tokio::select! {
        _ = released => stream.write_all(b"released\n").await.ok()?,
        _ = stream.read_line(&mut rest) => hold.end(),
    }
    Some(())
}

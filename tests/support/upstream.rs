//! An HTTP upstream of our own that does as it is told, misbehaviour included: real sockets, raw bytes.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Instant,
};

/// One thing the upstream does after it has read a request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Waits, by tokio's clock.
    Pause(Duration),
    /// Says no more, until the client goes away.
    Hang,
    /// Closes the connection.
    Close,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
    /// When it had arrived.
    pub at: Instant,
    /// When the upstream was done with it.
    pub done: Instant,
}

impl Seen {
    /// The request line's method.
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// The request line's target.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What the upstream remembers.
#[derive(Default)]
struct Memory {
    seen: Vec<Seen>,
    open: usize,
    most_open: usize,
    connections: usize,
    under_way: usize,
    most_under_way: usize,
}

/// A running upstream; it stops when this is dropped.
pub struct Upstream {
    address: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Starts one that does what `behave` says about the n-th request, counted from 0.
    pub async fn start(behave: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let memory = Arc::new(Mutex::new(Memory::default()));
        let task = tokio::spawn(accept(listener, Arc::new(behave), Arc::clone(&memory)));
        Self { address, memory, task }
    }

    /// Starts one that answers every request alike.
    pub async fn always(steps: Vec<Step>) -> Self {
        Self::start(move |_| steps.clone()).await
    }

    /// Starts one that works through `script`; the last entry repeats.
    pub async fn scripted(script: Vec<Vec<Step>>) -> Self {
        Self::start(move |number| script[number.min(script.len() - 1)].clone()).await
    }

    /// Its address as a base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.memory.lock().unwrap().seen.clone()
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.memory.lock().unwrap().open
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.memory.lock().unwrap().connections
    }

    /// How many connections were open at once, at most.
    pub fn most_open(&self) -> usize {
        self.memory.lock().unwrap().most_open
    }

    /// How many requests it had at once, at most.
    pub fn most_under_way(&self) -> usize {
        self.memory.lock().unwrap().most_under_way
    }

    /// How long the client waited before each request but the first, by tokio's clock.
    pub fn waits(&self) -> Vec<Duration> {
        self.seen().windows(2).map(|pair| pair[1].at.saturating_duration_since(pair[0].done)).collect()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A whole answer with a length.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<Step> {
    let mut head = format!("HTTP/1.1 {status} X\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let bodyless = matches!(status, 100..=199 | 204 | 304);
    if !bodyless {
        head += &format!("content-length: {}\r\n", body.len());
    }
    let mut bytes = (head + "\r\n").into_bytes();
    if !bodyless {
        bytes.extend_from_slice(body);
    }
    vec![Step::Send(bytes)]
}

/// A 200 with a JSON body.
pub fn json(body: &str) -> Vec<Step> {
    answer(200, &[("content-type", "application/json")], body.as_bytes())
}

/// `bytes`, compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory")
}

type Behaviour = Arc<dyn Fn(usize) -> Vec<Step> + Send + Sync>;

async fn accept(listener: TcpListener, behave: Behaviour, memory: Arc<Mutex<Memory>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (behave, memory) = (Arc::clone(&behave), Arc::clone(&memory));
        tokio::spawn(async move {
            {
                let mut memory = memory.lock().unwrap();
                memory.open += 1;
                memory.most_open = memory.most_open.max(memory.open);
                memory.connections += 1;
            }
            serve(stream, &behave, &memory).await;
            memory.lock().unwrap().open -= 1;
        });
    }
}

async fn serve(mut stream: TcpStream, behave: &Behaviour, memory: &Mutex<Memory>) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = read_request(&mut stream, &mut buffer).await {
        let number = {
            let now = Instant::now();
            let mut memory = memory.lock().unwrap();
            memory.seen.push(Seen { head, body, at: now, done: now });
            memory.under_way += 1;
            memory.most_under_way = memory.most_under_way.max(memory.under_way);
            memory.seen.len() - 1
        };
        let goes_on = perform(&mut stream, behave(number)).await;
        {
            let mut memory = memory.lock().unwrap();
            memory.seen[number].done = Instant::now();
            memory.under_way -= 1;
        }
        if !goes_on {
            return;
        }
    }
}

/// Does the steps; `false` when the connection is over.
async fn perform(stream: &mut TcpStream, steps: Vec<Step>) -> bool {
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return false;
                }
            }
            Step::Pause(length) => tokio::time::sleep(length).await,
            Step::Hang => {
                let mut rest = [0; 1024];
                while matches!(stream.read(&mut rest).await, Ok(1..)) {}
                return false;
            }
            Step::Close => return false,
        }
    }
    true
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        fill(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().expect("a length"));
    buffer.drain(..end);
    if head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked") {
        return Some((head, read_chunks(stream, buffer).await?));
    }
    while buffer.len() < length {
        fill(stream, buffer).await?;
    }
    Some((head, buffer.drain(..length).collect()))
}

/// A body in chunks (RFC 9112 §7.1), without trailers.
async fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(end) = buffer.windows(2).position(|window| window == b"\r\n") {
                break buffer.drain(..end + 2).collect::<Vec<_>>();
            }
            fill(stream, buffer).await?;
        };
        let length = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).expect("a length");
        while buffer.len() < length + 2 {
            fill(stream, buffer).await?;
        }
        body.extend(buffer.drain(..length));
        buffer.drain(..2);
        if length == 0 {
            return Some(body);
        }
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 4096];
    match stream.read(&mut chunk).await {
        Ok(0) | Err(_) => None,
        Ok(length) => {
            buffer.extend_from_slice(&chunk[..length]);
            Some(())
        }
    }
}

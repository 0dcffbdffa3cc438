//! Asks as fast as answers come, on connections that are kept.

use std::{
    cell::Cell,
    io::{Error, Result},
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

const REQUEST: &[u8] = b"GET /user HTTP/1.1\r\nhost: bench\r\n\r\n";

/// Requests per second, over so many seconds after one of warming up; and how many there were in all.
pub(crate) async fn load(port: u16, seconds: u64, connections: usize) -> Result<(f64, u64)> {
    let answered = Rc::new(Cell::new(0_u64));
    let tasks = LocalSet::new();
    for _ in 0..connections {
        let (answered, mut socket) = (answered.clone(), TcpStream::connect(("127.0.0.1", port)).await?);
        socket.set_nodelay(true)?;
        tasks.spawn_local(async move {
            let mut buffer = vec![0; 16 << 10];
            while ask(&mut socket, &mut buffer).await.is_ok() {
                answered.set(answered.get() + 1);
            }
        });
    }
    tasks
        .run_until(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let (start, before) = (Instant::now(), answered.get());
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let rate = (answered.get() - before) as f64 / start.elapsed().as_secs_f64();
            Ok((rate, answered.get()))
        })
        .await
}

async fn ask(socket: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    socket.write_all(REQUEST).await?;
    let mut read = 0;
    let whole = loop {
        let more = socket.read(&mut buffer[read..]).await?;
        if more == 0 {
            return Err(Error::other("the server has closed the connection"));
        }
        read += more;
        if let Some(length) = length_of(&buffer[..read])? {
            break length;
        }
    };
    while read < whole {
        read += socket.read(&mut buffer[read..]).await?;
    }
    Ok(())
}

/// How long the whole response is, once its headers are there. Only a 200 counts.
fn length_of(read: &[u8]) -> Result<Option<usize>> {
    let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&read[..end]).map_err(Error::other)?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(Error::other(head.to_owned()));
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse::<usize>().ok() } else { None }
    });
    length.map(|length| Some(end + 4 + length)).ok_or_else(|| Error::other("no length"))
}

// SPDX-License-Identifier: MIT
//! peer-tokio ADDRESS: echoes with tokio's current-thread runtime, one task per connection.
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn conn(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf = vec![0u8; 16 << 10];
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n]).await?;
    }
}

async fn serve(addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(conn(stream));
    }
}

fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1).expect("usage: peer-tokio ADDRESS");
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(serve(&addr))
}

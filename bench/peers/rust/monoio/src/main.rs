// SPDX-License-Identifier: MIT
//! peer-monoio ADDRESS: echoes with monoio's io_uring driver, one task per connection.
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use std::io;

async fn conn(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf: Vec<u8> = Vec::with_capacity(16 << 10);
    let mut res;
    loop {
        (res, buf) = stream.read(buf).await;
        if res? == 0 {
            return Ok(());
        }
        (res, buf) = stream.write_all(buf).await;
        res?;
        buf.clear();
    }
}

async fn serve(addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        monoio::spawn(conn(stream));
    }
}

fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1).expect("usage: peer-monoio ADDRESS");
    monoio::RuntimeBuilder::<monoio::IoUringDriver>::new().build()?.block_on(serve(&addr))
}

// SPDX-License-Identifier: MIT
//! peer-compio ADDRESS: echoes with compio's io_uring driver, one task per connection.
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use std::io;

async fn conn(mut stream: TcpStream) -> io::Result<()> {
    let mut buf: Vec<u8> = Vec::with_capacity(16 << 10);
    let mut res;
    loop {
        (res, buf) = stream.read(buf).await.into();
        if res? == 0 {
            return Ok(());
        }
        let done;
        (done, buf) = stream.write_all(buf).await.into();
        done?;
        buf.clear();
    }
}

async fn serve(addr: String) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        compio::runtime::spawn(conn(stream)).detach();
    }
}

fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1).expect("usage: peer-compio ADDRESS");
    // One thread drives the ring, so it may have the flags that its documentation offers for that.
    let mut ring = compio::driver::ProactorBuilder::new();
    ring.single_issuer(true).defer_taskrun(true);
    let runtime = compio::runtime::RuntimeBuilder::new().with_proactor(ring).build()?;
    assert!(runtime.driver_type().is_iouring(), "peer-compio: this kernel has no io_uring for it");
    runtime.block_on(serve(addr))
}

// SPDX-License-Identifier: MIT

// peer-go ADDRESS: echoes with Go's net package on one processor, one goroutine per connection.
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
)

func conn(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: peer-go ADDRESS")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1)
	ln, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer-go:", err)
		os.Exit(1)
	}
	fmt.Println("listening on", ln.Addr())
	for {
		c, err := ln.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "peer-go:", err)
			os.Exit(1)
		}
		go conn(c)
	}
}

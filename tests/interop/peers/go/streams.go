package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// The two protocols that every test peer serves (see streams.mjs): echo sends back what it gets, as it gets it;
// digest reads until the other side half-closes and then answers the SHA-256 in hexadecimal.
const (
	echoProtocol   = "/nodetrust-test/echo/1.0.0"
	digestProtocol = "/nodetrust-test/digest/1.0.0"
)

const chunkBytes = 65536

// pattern has n*7 + (n>>8) at offset n, so that a lost, doubled or swapped piece shows.
func pattern(length int) []byte {
	data := make([]byte, length)
	for n := range data {
		data[n] = byte(n*7 + n>>8)
	}
	return data
}

func handleStreams(h host.Host) {
	h.SetStreamHandler(echoProtocol, func(s network.Stream) {
		if _, err := io.CopyBuffer(s, s, make([]byte, chunkBytes)); err != nil {
			s.Reset()
			return
		}
		s.Close()
	})
	h.SetStreamHandler(digestProtocol, func(s network.Stream) {
		hash := sha256.New()
		if _, err := io.Copy(hash, s); err != nil {
			s.Reset()
			return
		}
		io.WriteString(s, hex.EncodeToString(hash.Sum(nil)))
		s.Close()
	})
}

func send(s network.Stream, data []byte) error {
	for len(data) > 0 {
		n, err := s.Write(data[:min(chunkBytes, len(data))])
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return s.CloseWrite()
}

// echo sends size bytes and reads what comes back at the same time.
func echo(ctx context.Context, h host.Host, id peer.ID, size int) (values, error) {
	s, err := h.NewStream(ctx, id, echoProtocol)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	data := pattern(size)
	started := time.Now()
	sent := make(chan error, 1)
	go func() { sent <- send(s, data) }()
	received, err := io.ReadAll(s)
	if err != nil {
		return nil, err
	}
	if err := <-sent; err != nil {
		return nil, err
	}
	return values{"bytes": len(received), "same": bytes.Equal(received, data), "seconds": time.Since(started).Seconds()}, nil
}

// digest sends size bytes, half-closes, and only then reads the answer.
func digest(ctx context.Context, h host.Host, id peer.ID, size int) (values, error) {
	s, err := h.NewStream(ctx, id, digestProtocol)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	data := pattern(size)
	if err := send(s, data); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(s)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return values{"answer": string(answer), "same": string(answer) == hex.EncodeToString(sum[:])}, nil
}

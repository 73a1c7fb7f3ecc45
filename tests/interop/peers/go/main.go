// A go-libp2p node that does what it is told on standard input (lines.go). "start" comes first.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
)

const commandTimeout = 30 * time.Second

type node struct {
	host       host.Host
	topics     *topics
	lock       sync.Mutex
	identified map[peer.ID]values
	changed    chan struct{} // closed and replaced when identified grows
}

func texts[T fmt.Stringer](things []T) []string {
	found := make([]string, 0, len(things))
	for _, thing := range things {
		found = append(found, thing.String())
	}
	return found
}

// resolver asks one DNS server only, and nothing else on the machine.
func resolver(server string) (network.MultiaddrDNSResolver, error) {
	asking := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}
	r, err := madns.NewResolver(madns.WithDefaultResolver(asking))
	return swarm.ResolverFromMaDNS{Resolver: r}, err
}

func webSocketOptions(args arguments) ([]any, error) {
	var options []any
	if args.Roots != "" {
		pem, err := os.ReadFile(args.Roots)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("no certificate in %s", args.Roots)
		}
		options = append(options, websocket.WithTLSClientConfig(&tls.Config{RootCAs: roots}))
	}
	if args.Certificate != "" {
		certificate, err := tls.LoadX509KeyPair(args.Certificate, args.Key)
		if err != nil {
			return nil, err
		}
		options = append(options, websocket.WithTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate}}))
	}
	return options, nil
}

func hostOptions(args arguments) ([]libp2p.Option, error) {
	webSocket, err := webSocketOptions(args)
	if err != nil {
		return nil, err
	}
	options := []libp2p.Option{
		libp2p.ListenAddrStrings(args.Listen...),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Transport(websocket.New, webSocket...),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
	}
	security := map[string]libp2p.Option{
		"noise": libp2p.Security(noise.ID, noise.New),
		"tls":   libp2p.Security(libp2ptls.ID, libp2ptls.New),
	}
	names := args.Security
	if len(names) == 0 {
		names = []string{"noise"}
	}
	for _, name := range names {
		options = append(options, security[name])
	}
	if args.AutoNAT {
		options = append(options, libp2p.EnableAutoNATv2())
	}
	if args.NameServer != "" {
		r, err := resolver(args.NameServer)
		if err != nil {
			return nil, err
		}
		options = append(options, libp2p.MultiaddrResolver(r))
	}
	return options, nil
}

// start opens the host. roots, certificate and key are PEM files for WSS; nameServer is "host:port"; with autoNAT it
// dials back whoever asks it to.
func (n *node) start(args arguments) (values, error) {
	options, err := hostOptions(args)
	if err != nil {
		return nil, err
	}
	if n.host, err = libp2p.New(options...); err != nil {
		return nil, err
	}
	handleStreams(n.host)
	n.host.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { emit(describe("connected", c)) },
		DisconnectedF: func(_ network.Network, c network.Conn) { emit(describe("disconnected", c)) },
	})
	subscription, err := n.host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return nil, err
	}
	go n.followIdentify(subscription)
	if args.PubSub != "" {
		if n.topics, err = newTopics(n.host, args.PubSub); err != nil {
			return nil, err
		}
	}
	listening := []string{}
	for _, addr := range n.host.Network().ListenAddresses() {
		listening = append(listening, addr.String()+"/p2p/"+n.host.ID().String())
	}
	return values{"peer": n.host.ID().String(), "listening": listening}, nil
}

func describe(name string, c network.Conn) values {
	return values{
		"event":     name,
		"peer":      c.RemotePeer().String(),
		"address":   c.RemoteMultiaddr().String(),
		"direction": map[network.Direction]string{network.DirInbound: "inbound", network.DirOutbound: "outbound"}[c.Stat().Direction],
		"security":  string(c.ConnState().Security),
		"muxer":     string(c.ConnState().StreamMultiplexer),
	}
}

func (n *node) followIdentify(subscription event.Subscription) {
	for e := range subscription.Out() {
		said := e.(event.EvtPeerIdentificationCompleted)
		observed := ""
		if said.ObservedAddr != nil {
			observed = said.ObservedAddr.String()
		}
		protocols := []string{}
		for _, p := range said.Protocols {
			protocols = append(protocols, string(p))
		}
		n.lock.Lock()
		n.identified[said.Peer] = values{
			"agent":           said.AgentVersion,
			"protocolVersion": said.ProtocolVersion,
			"protocols":       protocols,
			"observed":        observed,
			"addresses":       texts(said.ListenAddrs),
			"signed":          said.SignedPeerRecord != nil,
		}
		close(n.changed)
		n.changed = make(chan struct{})
		n.lock.Unlock()
	}
}

// identify answers what the peer said of itself, as soon as it has.
func (n *node) identify(ctx context.Context, id peer.ID) (values, error) {
	for {
		n.lock.Lock()
		said, changed := n.identified[id], n.changed
		n.lock.Unlock()
		if said != nil {
			return said, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// awaitAddress answers once the peer is known to be at addr, as identify or a push of it said.
func (n *node) awaitAddress(ctx context.Context, id peer.ID, addr string) error {
	for {
		known := texts(n.host.Peerstore().Addrs(id))
		if slices.Contains(known, addr) {
			return nil
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return fmt.Errorf("known %v: %w", known, ctx.Err())
		}
	}
}

func (n *node) dial(ctx context.Context, text string) (values, error) {
	addr, err := ma.NewMultiaddr(text)
	if err != nil {
		return nil, err
	}
	info, err := peer.AddrInfoFromP2pAddr(addr)
	if err != nil {
		return nil, err
	}
	if err := n.host.Connect(ctx, *info); err != nil {
		return nil, err
	}
	connections := n.host.Network().ConnsToPeer(info.ID)
	if len(connections) == 0 {
		return nil, errors.New("the connection was closed at once")
	}
	return describe("", connections[0]), nil
}

func (n *node) run(args arguments) (values, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var id peer.ID
	if args.Peer != "" {
		var err error
		if id, err = peer.Decode(args.Peer); err != nil {
			return nil, err
		}
	}
	switch args.Command {
	case "start":
		return n.start(args)
	case "dial":
		return n.dial(ctx, args.Addr)
	case "connections":
		found := []values{}
		for _, c := range n.host.Network().Conns() {
			found = append(found, describe("", c))
		}
		return values{"connections": found}, nil
	case "hangup":
		return nil, n.host.Network().ClosePeer(id)
	case "identify":
		return n.identify(ctx, id)
	case "awaitAddress":
		return nil, n.awaitAddress(ctx, id, args.Addr)
	case "handle":
		n.host.SetStreamHandler(protocol.ID(args.Protocol), func(s network.Stream) { s.Reset() })
		return nil, nil
	case "ping":
		result := <-ping.Ping(ctx, n.host, id)
		return values{"ms": float64(result.RTT.Microseconds()) / 1000}, result.Error
	case "echo":
		return echo(ctx, n.host, id, args.Bytes)
	case "digest":
		return digest(ctx, n.host, id, args.Bytes)
	case "subscribe":
		return nil, n.topics.subscribe(args.Topic)
	case "publish":
		return n.topics.publish(ctx, args.Topic, args.Data)
	case "pubsub":
		return n.topics.describe(args.Topic), nil
	case "awaitPubsub":
		return n.topics.await(ctx, args.Topic, args.Subscribers, args.Mesh)
	case "stop":
		time.AfterFunc(100*time.Millisecond, func() { os.Exit(0) })
		return nil, n.host.Close()
	}
	return nil, fmt.Errorf("unknown command %s", args.Command)
}

func main() {
	n := &node{identified: map[peer.ID]values{}, changed: make(chan struct{})}
	serve(n.run)
}

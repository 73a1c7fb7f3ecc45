package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/ipshipyard/p2p-forge/client"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multibase"
)

const registrationTime = 30 * time.Second

// What each node that was registered has asked for, by its name.
var registered = map[string]string{}

// A new node for each multiaddr in "listen"; they register once each, as p2p-forge's client does it, "atOnce" of them at a
// time. Requests go to the host and port in "connect" where there is one, whatever the URL in "endpoint" says; "forwarded"
// has them say, as a proxy would, that they come from the node's own IP address. Tells how many were registered, the errors
// of the others, the seconds from the first request to the last answer, those of each registration that was made, and what
// the process has used of its cores meanwhile.
func register(args arguments) (values, error) {
	nodes := make(chan host.Host, len(args.Listen))
	for _, address := range args.Listen {
		node, err := libp2p.New(
			libp2p.ListenAddrStrings(address),
			libp2p.Transport(tcp.NewTCPTransport),
			libp2p.DisableRelay(),
		)
		if err != nil {
			return nil, err
		}
		defer node.Close()
		nodes <- node
	}
	close(nodes)
	transport := &http.Transport{MaxIdleConnsPerHost: args.AtOnce}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if args.Connect != "" {
			address = args.Connect
		}
		return (&net.Dialer{Resolver: resolver(args.NameServer)}).DialContext(ctx, network, address)
	}
	defer transport.CloseIdleConnections()
	clear(registered)
	errors, latencies := []string{}, []float64{}
	var lock sync.Mutex
	var workers sync.WaitGroup
	begin, before := time.Now(), cpuSeconds()
	for range args.AtOnce {
		workers.Go(func() {
			for node := range nodes {
				sent := time.Now()
				value, err := registerOne(args, node, &http.Client{Transport: transport})
				seconds := time.Since(sent).Seconds()
				lock.Lock()
				if err != nil {
					errors = append(errors, err.Error())
				} else {
					registered[name(node.ID(), args.Domain)] = value
					latencies = append(latencies, seconds)
				}
				lock.Unlock()
			}
		})
	}
	workers.Wait()
	return values{
		"registered": len(registered),
		"errors":     errors,
		"seconds":    time.Since(begin).Seconds(),
		"latencies":  latencies,
		"cpuSeconds": cpuSeconds() - before,
	}, nil
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func registerOne(args arguments, node host.Host, through *http.Client) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), registrationTime)
	defer cancel()
	digest := sha256.Sum256([]byte(node.ID()))
	value := base64.RawURLEncoding.EncodeToString(digest[:])
	forward := func(request *http.Request) error {
		if !args.Forwarded {
			return nil
		}
		ip, err := node.Addrs()[0].ValueForProtocol(multiaddr.P_IP4)
		request.Header.Set("X-Forwarded-For", ip)
		return err
	}
	key := node.Peerstore().PrivKey(node.ID())
	option := client.WithChallengeHTTPClient(through)
	return value, client.SendChallenge(ctx, args.Endpoint, key, value, node.Addrs(), args.Token, "", forward, option)
}

// How many of the nodes that were registered the DNS server answers for, each with its own value alone.
func lookUp(args arguments) (values, error) {
	found := 0
	for name, value := range registered {
		texts, err := resolver(args.NameServer).LookupTXT(context.Background(), name)
		if err != nil {
			return nil, err
		}
		if len(texts) == 1 && texts[0] == value {
			found++
		}
	}
	return values{"found": found}, nil
}

func name(id peer.ID, domain string) string {
	label, err := peer.ToCid(id).StringOfBase(multibase.Base36)
	if err != nil {
		panic(err)
	}
	return "_acme-challenge." + label + "." + domain + "."
}

// go-libp2p nodes with p2p-forge's AutoTLS client, as that comes, that do what they are told, one JSON object a line: "start"
// is a whole node, which tells when it has a certificate; "register" many nodes that only ask the broker (nodes.go). The
// program ends with its input.
package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/ipshipyard/p2p-forge/client"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
)

type arguments struct {
	ID           int      `json:"id"`
	Command      string   `json:"command"`
	Listen       []string `json:"listen"`
	Port         int      `json:"port"`
	NameServer   string   `json:"nameServer"`
	Domain       string   `json:"domain"`
	Endpoint     string   `json:"endpoint"`
	Directory    string   `json:"directory"`
	Roots        string   `json:"roots"`
	Storage      string   `json:"storage"`
	Token        string   `json:"token"`
	AllowPrivate bool     `json:"allowPrivate"`
	CheckSeconds int      `json:"checkSeconds"`
	Connect      string   `json:"connect"`
	Forwarded    bool     `json:"forwarded"`
	AtOnce       int      `json:"atOnce"`
}

type values map[string]any

var outputLock sync.Mutex

func emit(v values) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	outputLock.Lock()
	defer outputLock.Unlock()
	fmt.Println(string(line))
}

// Asks "host:port" for every name, or whom the system asks where none is given.
func resolver(nameServer string) *net.Resolver {
	if nameServer == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, nameServer)
	}}
}

func start(args arguments) (values, error) {
	pem, err := os.ReadFile(args.Roots)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Resolver: resolver(args.NameServer)}).DialContext
	transport.TLSClientConfig.RootCAs = roots
	options := []client.P2PForgeCertMgrOptions{
		client.WithForgeDomain(args.Domain),
		client.WithForgeRegistrationEndpoint(args.Endpoint),
		client.WithForgeAuth(args.Token),
		client.WithCAEndpoint(args.Directory),
		client.WithTrustedRoots(roots),
		client.WithHTTPClient(&http.Client{Transport: transport}),
		client.WithResolver(resolver(args.NameServer)),
		client.WithUserEmail("node@"+args.Domain),
		client.WithCertificateStorage(&certmagic.FileStorage{Path: args.Storage}),
		client.WithRenewCheckInterval(time.Duration(args.CheckSeconds)*time.Second),
		client.WithOnCertLoaded(func() { emit(values{"event": "loaded"}) }),
		client.WithOnCertRenewed(func() { emit(values{"event": "renewed"}) }),
	}
	if args.AllowPrivate {
		options = append(options, client.WithAllowPrivateForgeAddrs())
	}
	manager, err := client.NewP2PForgeCertMgr(options...)
	if err != nil {
		return nil, err
	}
	listen := args.Listen
	for _, address := range manager.AddrStrings() {
		family, _, _ := strings.Cut(address[1:], "/")
		if strings.Contains(strings.Join(args.Listen, " "), "/"+family+"/") {
			listen = append(listen, strings.Replace(address, "/tcp/0/", fmt.Sprintf("/tcp/%d/", args.Port), 1))
		}
	}
	node, err := libp2p.New(
		libp2p.ListenAddrStrings(listen...),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Transport(websocket.New, websocket.WithTLSConfig(manager.TLSConfig())),
		libp2p.AddrsFactory(manager.AddressFactory()),
		libp2p.ForceReachabilityPublic(),
	)
	if err != nil {
		return nil, err
	}
	manager.ProvideHost(node)
	addresses := []string{}
	for _, address := range node.Addrs() {
		addresses = append(addresses, address.String())
	}
	return values{"peer": node.ID().String(), "listening": addresses}, manager.Start()
}

var commands = map[string]func(arguments) (values, error){"start": start, "register": register, "lookUp": lookUp}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var args arguments
		if err := json.Unmarshal(lines.Bytes(), &args); err != nil {
			panic(err)
		}
		result, err := commands[args.Command](args)
		if err != nil {
			emit(values{"id": args.ID, "error": err.Error()})
			continue
		}
		emit(values{"id": args.ID, "result": result})
	}
}

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const lookAgain = 20 * time.Millisecond

// mesh follows what gossipsub's router does with its mesh; the router has no question for it.
type mesh struct {
	lock  sync.Mutex
	peers map[string]map[peer.ID]bool // by topic
}

func (m *mesh) set(topic string, id peer.ID, member bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.peers[topic] == nil {
		m.peers[topic] = map[peer.ID]bool{}
	}
	m.peers[topic][id] = member
}

func (m *mesh) members(topic string) []string {
	m.lock.Lock()
	defer m.lock.Unlock()
	found := []string{}
	for id, member := range m.peers[topic] {
		if member {
			found = append(found, id.String())
		}
	}
	return found
}

func (m *mesh) Graft(id peer.ID, topic string) { m.set(topic, id, true) }
func (m *mesh) Prune(id peer.ID, topic string) { m.set(topic, id, false) }

// OnClosedOutboundStream takes away a peer that left without a PRUNE.
func (m *mesh) OnClosedOutboundStream(id peer.ID) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, members := range m.peers {
		delete(members, id)
	}
}

func (m *mesh) OnNewOutboundStream(peer.ID, protocol.ID) {}
func (m *mesh) Join(string)                              {}
func (m *mesh) Leave(string)                             {}
func (m *mesh) ValidateMessage(*pubsub.Message)          {}
func (m *mesh) DeliverMessage(*pubsub.Message)           {}
func (m *mesh) RejectMessage(message *pubsub.Message, reason string) {
	emit(values{"event": "rejected", "reason": reason})
}
func (m *mesh) DuplicateMessage(*pubsub.Message)                     {}
func (m *mesh) ThrottlePeer(peer.ID)                                 {}
func (m *mesh) RecvRPC(*pubsub.RPC)                                  {}
func (m *mesh) SendRPC(*pubsub.RPC, peer.ID)                         {}
func (m *mesh) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
func (m *mesh) DropRPC(*pubsub.RPC, peer.ID)                         {}
func (m *mesh) UndeliverableMessage(*pubsub.Message)                 {}

// topics is the pubsub side of the peer.
type topics struct {
	pubsub *pubsub.PubSub
	mesh   *mesh
	lock   sync.Mutex
	joined map[string]*pubsub.Topic
}

func newTopics(h host.Host, kind string) (*topics, error) {
	m := &mesh{peers: map[string]map[peer.ID]bool{}}
	open := pubsub.NewGossipSub
	if kind == "floodsub" {
		open = pubsub.NewFloodSub
	}
	p, err := open(context.Background(), h, pubsub.WithRawTracer(m))
	if err != nil {
		return nil, err
	}
	return &topics{pubsub: p, mesh: m, joined: map[string]*pubsub.Topic{}}, nil
}

func (t *topics) join(name string) (*pubsub.Topic, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if topic, ok := t.joined[name]; ok {
		return topic, nil
	}
	topic, err := t.pubsub.Join(name)
	if err == nil {
		t.joined[name] = topic
	}
	return topic, err
}

func (t *topics) subscribe(name string) error {
	topic, err := t.join(name)
	if err != nil {
		return err
	}
	subscription, err := topic.Subscribe()
	if err != nil {
		return err
	}
	go func() {
		for {
			message, err := subscription.Next(context.Background())
			if err != nil {
				return
			}
			source := message.GetFrom().String()
			emit(values{"event": "message", "topic": name, "data": message.Data, "source": source, "at": now()})
		}
	}()
	return nil
}

func (t *topics) publish(ctx context.Context, name string, data []byte) (values, error) {
	topic, err := t.join(name)
	if err != nil {
		return nil, err
	}
	at := now()
	return values{"at": at}, topic.Publish(ctx, data)
}

// now is the time of messages: seconds since 1970, as in the other peers.
func now() float64 { return float64(time.Now().UnixMicro()) / 1e6 }

func (t *topics) describe(name string) values {
	return values{"subscribers": texts(t.pubsub.ListPeers(name)), "mesh": t.mesh.members(name)}
}

// await answers once all of subscribers are known to want the topic and all of mesh are in our mesh for it.
func (t *topics) await(ctx context.Context, name string, subscribers, mesh []string) (values, error) {
	for {
		known, members := texts(t.pubsub.ListPeers(name)), t.mesh.members(name)
		if containsAll(known, subscribers) && containsAll(members, mesh) {
			return t.describe(name), nil
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return nil, fmt.Errorf("known %v, in the mesh %v: %w", known, members, ctx.Err())
		}
	}
}

func containsAll(all, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(one string) bool { return !slices.Contains(all, one) })
}

package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Ending is why a subscription ended.
type Ending string

// The endings of a subscription.
const (
	EndedByClient Ending = "client"   // hung up or cancelled
	EndedByDrain  Ending = "stopping" // this node stops
	EndedPruned   Ending = "pruned"   // asked for a height that is no longer kept
	EndedFailed   Ending = "failed"   // an error of this node
)

// Delivery measures the subscriptions to ordered blocks.
type Delivery struct {
	scraped[DeliveryState]
	Blocks prometheus.Counter // delivered, over all subscribers
	Bytes  prometheus.Counter
	ended  map[Ending]prometheus.Counter
}

// DeliveryState is the subscriptions now.
type DeliveryState struct {
	Subscribers int
	MaxLag      uint64 // blocks between the slowest subscriber and the newest ordered block
}

func newDelivery(d *declarer) *Delivery {
	v := &Delivery{
		Blocks: d.counter("delivery_blocks_total", "Ordered blocks delivered, counted for each subscriber."),
		Bytes:  d.counter("delivery_bytes_total", "Bytes of requests delivered, counted for each subscriber."),
		ended: counters(d, "delivery_ended_subscriptions_total", "Subscriptions that ended, by reason.", "reason", []Ending{
			EndedByClient, EndedByDrain, EndedPruned, EndedFailed,
		}),
	}
	v.gauge(d, "delivery_subscribers", "Subscriptions open now.", func(s DeliveryState) float64 { return float64(s.Subscribers) })
	v.gauge(d, "delivery_max_lag_blocks", "Blocks that the slowest subscriber is behind.", func(s DeliveryState) float64 { return float64(s.MaxLag) })
	d.registry.MustRegister(v)
	return v
}

// Ended records the end of a subscription.
func (v *Delivery) Ended(reason Ending) { v.ended[reason].Inc() }

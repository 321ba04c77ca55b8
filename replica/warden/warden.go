package warden

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/trust"
)

// domainBan is what a notice of a ban is signed in.
const domainBan keys.Domain = "synod/peer/ban/1"

// Config is what a warden needs.
type Config struct {
	Key     keys.PrivateKey
	Network [32]byte
	// Path is the file that holds the state; empty: nothing survives.
	Path   string
	Params trust.Params // zero: trust.DefaultParams
	// Names returns what people call the peers, which may change; nil: nobody has a name.
	Names func() map[keys.PublicKey]string
	Log   *slog.Logger // nil: silent
	// Now is the time of day, for people and for how long the node was away; nil means the system's. Passed is the time
	// since the start, on a clock that nobody sets; nil means the system's.
	Now    func() time.Time
	Passed func() time.Duration
}

// Warden is safe for use by several goroutines.
type Warden struct {
	cfg Config
	// saving is held while the file is written. It is taken before mu.
	saving sync.Mutex
	wake   chan struct{} // token: something must be stored soon
	// active has a mark for each peer that was useful since the last look.
	active sync.Map // keys.PublicKey → *atomic.Bool

	mu         sync.Mutex
	ledger     *trust.Ledger
	base       trust.Instant // the ledger's clock when Passed was 0
	changed    bool          // since it was stored
	reconsider func(keys.PublicKey)
}

const (
	tickEvery = time.Second
	// saveEvery is how much of the past a crash may cost, but for bans.
	saveEvery = 10 * time.Second
)

// Open reads the state, or begins one.
func Open(cfg Config) (*Warden, error) {
	if cfg.Params == (trust.Params{}) {
		cfg.Params = trust.DefaultParams()
	}
	if err := cfg.Params.Validate(); err != nil {
		return nil, fmt.Errorf("trust: %w", err)
	}
	if cfg.Names == nil {
		cfg.Names = func() map[keys.PublicKey]string { return nil }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Passed == nil {
		start := time.Now()
		cfg.Passed = func() time.Duration { return time.Since(start) }
	}
	w := &Warden{cfg: cfg, wake: make(chan struct{}, 1), reconsider: func(keys.PublicKey) {}}
	w.ledger = trust.New(cfg.Params, cfg.Key.Public(), 0)
	if cfg.Path == "" {
		return w, nil
	}
	if err := sweep(cfg.Path); err != nil {
		return nil, fmt.Errorf("trust: remove an unfinished file: %w", err)
	}
	err := w.load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w, nil
	case errors.Is(err, errDamaged):
		aside := cfg.Path + damagedSuffix
		if err := os.Rename(cfg.Path, aside); err != nil {
			return nil, fmt.Errorf("trust: move the damaged %s away: %w", cfg.Path, err)
		}
		cfg.Log.Error("the file with the scores and bans of peers is damaged; it was renamed, and all peers begin anew: ban again whom you had banned by hand",
			slog.String("file", aside), slog.Any("error", err))
		return w, nil
	case err != nil:
		return nil, fmt.Errorf("trust: read %s: %w", cfg.Path, err)
	}
	return w, nil
}

func (w *Warden) load() error {
	s, err := read(w.cfg.Path)
	if err != nil {
		return err
	}
	away := trust.Instant(max(0, w.cfg.Now().UnixMicro()-s.Saved)) // a clock that was set back counts as no time
	ledger, err := trust.Restore(w.cfg.Params, w.cfg.Key.Public(), s.State, s.State.Now+away)
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	w.ledger, w.base = ledger, s.State.Now+away
	return nil
}

// Attach names who acts on a peer's standing when it may have changed. It is called before Run, and the function from
// any goroutine.
func (w *Warden) Attach(reconsider func(keys.PublicKey)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reconsider = reconsider
}

// Run lets time pass and keeps the file up to date until ctx ends.
func (w *Warden) Run(ctx context.Context) error {
	tick, save := time.NewTicker(tickEvery), time.NewTicker(saveEvery)
	defer tick.Stop()
	defer save.Stop()
	wake := w.wake // nil until the next tick after a write: who breaks rules without end has this node write once a second
	for {
		select {
		case <-ctx.Done():
			w.saveOrSay()
			return nil
		case <-tick.C:
			wake = w.wake
			w.note(func(l *trust.Ledger, now trust.Instant) { l.Tick(now) })
		case <-save.C:
			w.credit()
			w.saveOrSay()
		case <-wake:
			wake = nil
			w.saveOrSay()
		}
	}
}

// do changes the ledger, to be stored, and then acts on what was decided.
func (w *Warden) do(change func(*trust.Ledger, trust.Instant)) {
	w.note(func(l *trust.Ledger, now trust.Instant) {
		change(l, now)
		w.changed = true
	})
}

// note changes what is not worth a write by itself, and then acts on what was decided, without the lock.
func (w *Warden) note(change func(*trust.Ledger, trust.Instant)) {
	w.mu.Lock()
	change(w.ledger, w.now())
	events, now, wall, reconsider := w.ledger.Take(), w.now(), w.cfg.Now(), w.reconsider
	w.changed = w.changed || len(events) > 0
	w.mu.Unlock()
	soon := false
	for _, e := range events {
		w.say(e, wall.Add(time.Duration(e.Until-now)*time.Microsecond))
		if e.Peer != (keys.PublicKey{}) {
			reconsider(e.Peer)
		}
		soon = soon || e.Kind != trust.StandingChanged
	}
	if soon {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// now is the time on the ledger's clock.
func (w *Warden) now() trust.Instant { return w.base + trust.Instant(w.cfg.Passed().Microseconds()) }

// Name is how people call a peer.
func (w *Warden) Name(p keys.PublicKey) string {
	if n, ok := w.cfg.Names()[p]; ok {
		return n
	}
	return p.String()
}

func (w *Warden) say(e trust.Event, until time.Time) {
	about := []any{slog.String("peer", w.Name(e.Peer)), slog.String("reason", string(e.Reason)), slog.String("detail", e.Detail)}
	switch e.Kind {
	case trust.PeerBanned:
		w.cfg.Log.Warn("peer banned; synod trust explain shows what led to it", append(about, slog.Time("until", until.UTC()))...)
	case trust.PeerUnbanned:
		w.cfg.Log.Info("peer no longer banned", about...)
	case trust.GuardedByQuorum:
		w.cfg.Log.Error("a peer deserves a ban, but ordering may need it: it is read slowly instead; repair the other members first", about...)
	case trust.SuspicionBegan:
		w.cfg.Log.Error("more members look bad at once than can be faulty, so this node suspects itself and bans nobody: look at its version, memory, disk and clock")
	case trust.SuspicionEnded:
		w.cfg.Log.Info("this node no longer suspects itself")
	}
}

// saveOrSay stores the state if it changed. A failure is said, and the next save tries again.
func (w *Warden) saveOrSay() {
	if err := w.save(); err != nil {
		w.cfg.Log.Error("cannot store the scores and bans of peers; they are in force, and would not survive a restart", slog.Any("error", err))
	}
}

func (w *Warden) save() error {
	w.saving.Lock()
	defer w.saving.Unlock()
	w.mu.Lock()
	changed := w.changed
	w.changed = false
	var s stored
	if changed {
		s = stored{Saved: w.cfg.Now().UnixMicro(), State: w.ledger.State()}
	}
	w.mu.Unlock()
	if !changed || w.cfg.Path == "" {
		return nil
	}
	text, err := encode(s)
	if err == nil {
		err = write(w.cfg.Path, text)
	}
	if err != nil {
		w.mu.Lock()
		w.changed = true
		w.mu.Unlock()
		return fmt.Errorf("store %s: %w", w.cfg.Path, err)
	}
	return nil
}

// Record enters what a peer did.
func (w *Warden) Record(peer keys.PublicKey, action trust.Action, detail string) {
	w.do(func(l *trust.Ledger, now trust.Instant) { l.Record(now, peer, action, detail) })
}

// Prove enters a provable fault with its proof.
func (w *Warden) Prove(peer keys.PublicKey, kind trust.Action, detail string, proof []byte) {
	w.do(func(l *trust.Ledger, now trust.Instant) { l.Prove(now, peer, kind, detail, proof) })
}

// Useful notes that the peer sent something that was taken in. It is cheap; the credit comes later.
func (w *Warden) Useful(peer keys.PublicKey) {
	mark, ok := w.active.Load(peer)
	if !ok {
		mark, _ = w.active.LoadOrStore(peer, &atomic.Bool{})
	}
	if m := mark.(*atomic.Bool); !m.Load() {
		m.Store(true)
	}
}

func (w *Warden) credit() {
	w.active.Range(func(peer, mark any) bool {
		if mark.(*atomic.Bool).Swap(false) {
			w.note(func(l *trust.Ledger, now trust.Instant) { l.Record(now, peer.(keys.PublicKey), trust.Useful, "") })
		} else {
			w.active.Delete(peer) // gone, maybe for good
		}
		return true
	})
}

// SetMembers says who is in the committee.
func (w *Warden) SetMembers(members []keys.PublicKey) {
	w.do(func(l *trust.Ledger, now trust.Instant) { l.SetMembers(now, members) })
}

// SetLinked says whether there is a link to a peer.
func (w *Warden) SetLinked(peer keys.PublicKey, linked bool) {
	w.do(func(l *trust.Ledger, now trust.Instant) { l.SetLinked(now, peer, linked) })
}

// Treatment is how a peer is to be met now. The notice, if it is banned, is signed for it.
func (w *Warden) Treatment(peer keys.PublicKey) (standing trust.Standing, notice []byte) {
	w.mu.Lock()
	now := w.now()
	standing = w.ledger.Standing(now, peer)
	ban, banned := w.ledger.Banned(now, peer)
	w.mu.Unlock()
	if !banned {
		return standing, nil
	}
	wall := w.cfg.Now().UnixMicro()
	text := trust.Notice{By: w.cfg.Key.Public(), To: peer, Issued: wall, Until: wall + int64(ban.Until-now), Reason: string(ban.Reason), Detail: ban.Detail}.Encode()
	signature := w.cfg.Key.SignDomain(w.cfg.Network, domainBan, text)
	return standing, append(text, signature[:]...)
}

// Told takes in the notice of a peer that bans this node, and returns what it says; a false one is said to be that.
func (w *Warden) Told(by keys.PublicKey, notice []byte) error {
	n, signature, err := VerifyNotice(w.cfg.Network, notice)
	if err == nil && (n.By != by || n.To != w.cfg.Key.Public()) {
		err = errors.New("it is about another node's ban")
	}
	if err != nil {
		return fmt.Errorf("without a valid reason: %w", err)
	}
	w.do(func(l *trust.Ledger, now trust.Instant) { l.Told(now, n, signature) })
	return fmt.Errorf("until %s because of %s: %s", time.UnixMicro(n.Until).UTC().Format(time.RFC3339), n.Reason, n.Detail)
}

// VerifyNotice reads a signed notice: the words, then the signature of who bans.
func VerifyNotice(network [32]byte, b []byte) (trust.Notice, keys.Signature, error) {
	const size = len(keys.Signature{})
	if len(b) < size {
		return trust.Notice{}, keys.Signature{}, errors.New("the notice has no signature")
	}
	text, signature := b[:len(b)-size], keys.Signature(b[len(b)-size:])
	n, err := trust.DecodeNotice(text)
	if err != nil {
		return n, signature, err
	}
	if !keys.VerifyDomain(n.By, network, domainBan, text, signature) {
		return n, signature, errors.New("the notice is not signed by who it says bans")
	}
	return n, signature, nil
}

// Ban keeps a peer out; it returns once that is stored. Length 0 is what its record deserves.
func (w *Warden) Ban(peer keys.PublicKey, length time.Duration, detail string) (err error) {
	w.do(func(l *trust.Ledger, now trust.Instant) {
		err = l.Ban(now, peer, trust.Duration(length.Microseconds()), detail)
	})
	if err != nil {
		return err
	}
	return w.save()
}

// Unban clears all that is held against a peer, and returns once that is stored. It reports whether there was anything.
func (w *Warden) Unban(peer keys.PublicKey) (found bool, err error) {
	w.do(func(l *trust.Ledger, now trust.Instant) { found = l.Unban(now, peer) })
	return found, w.save()
}

// Protect makes a peer one that is never limited or banned, or ends that; it returns once that is stored.
func (w *Warden) Protect(peer keys.PublicKey, protected bool) (err error) {
	w.do(func(l *trust.Ledger, now trust.Instant) { err = l.Protect(now, peer, protected) })
	if err != nil {
		return err
	}
	return w.save()
}

// Report is what a warden thinks at one moment.
type Report struct {
	Peers         []trust.Opinion
	Counters      trust.Counters
	SuspectsUntil trust.Instant // until when the node suspects itself; 0 if it does not
	now           trust.Instant
	wall          time.Time
}

// Time is the time of day of an instant.
func (r Report) Time(at trust.Instant) time.Time {
	return r.wall.Add(time.Duration(at-r.now) * time.Microsecond)
}

// Report returns all opinions and counters, of one moment.
func (w *Warden) Report() Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	r := Report{Peers: w.ledger.Opinions(now), Counters: w.ledger.Counters(), now: now, wall: w.cfg.Now()}
	if until, suspects := w.ledger.SelfSuspect(now); suspects {
		r.SuspectsUntil = until
	}
	return r
}

// Find returns the peer that a person means: by a name that only one has, by key, or by the beginning of a key, of at least
// 8 digits, that only one known peer has.
func (w *Warden) Find(text string) (keys.PublicKey, error) {
	var called []keys.PublicKey
	for p, name := range w.cfg.Names() {
		if name == text {
			called = append(called, p)
		}
	}
	switch slices.SortFunc(called, keys.PublicKey.Compare); len(called) {
	case 0:
	case 1:
		return called[0], nil
	default: // a sequencer that exchanges its key has two for a while
		return keys.PublicKey{}, fmt.Errorf("%d peers are called %q, with the keys %v; give one of the keys", len(called), text, called)
	}
	if key, err := keys.ParsePublicKey(text); err == nil {
		return key, nil
	}
	var found []keys.PublicKey
	seen := map[keys.PublicKey]bool{}
	consider := func(p keys.PublicKey) {
		if !seen[p] && len(text) >= 8 && strings.HasPrefix(hex.EncodeToString(p[:]), strings.ToLower(text)) {
			seen[p] = true
			found = append(found, p)
		}
	}
	for p := range w.cfg.Names() {
		consider(p)
	}
	for _, o := range w.Report().Peers {
		consider(o.Peer)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return keys.PublicKey{}, fmt.Errorf("no peer is called %q; give a name or a key as `synod trust list` shows it", text)
	}
	return keys.PublicKey{}, fmt.Errorf("%d peers have keys that begin with %q; give more of it", len(found), text)
}

package eventstore_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// A sample of every event ever written stays in testdata/events for ever and
// must decode (design.md rule 13). A file is named after the stored type, with
// what is special about it after a point: deducted.split.json.
const samplesDir = "../testdata/events"

var update = flag.Bool("update", false, "write the samples that are missing in testdata/events; never changes one that is there")

const howToAdd = `
A new event, or a new member of one, needs a sample that stays for ever:
 1. add an event with realistic, non-zero members to newSamples in eventstore/samples_test.go;
    for a type that has samples, under a name of its own: "deducted.with-what"
 2. go test ./eventstore -run TestSamples -update     writes testdata/events/<name>.json
 3. read that file: this is how the event is stored, for ever. Commit it with the code.
Never change or delete a sample. If one doesn't decode any more, or not to the same bytes,
then stored accounts don't either: keep the old type, with an Upcast.`

func codecOfAccounts() *eventstore.Codec { return eventstore.NewCodec(account.EventTypes()...) }

func TestSamples(t *testing.T) {
	if *update {
		writeMissing(t, samplesDir)
	}
	codec := codecOfAccounts()
	shown := map[string][]domain.Event{}
	ofType := map[reflect.Type][]domain.Event{}
	files := readSamples(t)
	for name := range newSamples() {
		if _, written := files[name+".json"]; !written {
			t.Errorf("newSamples has %q, but testdata/events has no such file.%s", name, howToAdd)
		}
	}
	for file, data := range files {
		name, _, _ := strings.Cut(file, ".")
		event, err := codec.Decode(name, data)
		if err != nil {
			t.Errorf("testdata/events/%s: %v%s", file, err, howToAdd)
			continue
		}
		shown[name] = append(shown[name], event)
		ofType[reflect.TypeOf(event)] = append(ofType[reflect.TypeOf(event)], event)
		if current := event.EventName() == name; !current {
			continue // an old version: it is read as a newer one, and never written again
		}
		if again, err := codec.Encode(event); err != nil || string(again) != string(data) {
			t.Errorf("testdata/events/%s is written today as\n%s, %v\nnot\n%s%s", file, again, err, data, howToAdd)
		}
	}
	for _, typ := range account.EventTypes() {
		if len(shown[typ.Name]) == 0 {
			t.Errorf("event type %q has no sample.%s", typ.Name, howToAdd)
		} else if missing := neverShown(ofType[reflect.TypeOf(typ.New())]); typ.Upcast == nil && len(missing) > 0 {
			t.Errorf("no sample of %q shows its %s.%s", typ.Name, strings.Join(missing, ", "), howToAdd)
		}
	}
}

// readSamples gives the files by name, without the newline at their end.
func readSamples(tb testing.TB) map[string][]byte {
	tb.Helper()
	entries, err := os.ReadDir(samplesDir)
	if err != nil {
		tb.Fatal(err)
	}
	samples := map[string][]byte{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(samplesDir, entry.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		samples[entry.Name()] = []byte(strings.TrimSuffix(string(data), "\n"))
	}
	return samples
}

func writeMissing(t *testing.T, dir string) {
	t.Helper()
	codec := codecOfAccounts()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, event := range newSamples() {
		if typ, _, _ := strings.Cut(name, "."); typ != event.EventName() {
			t.Fatalf("sample %q is a %s", name, event.EventName())
		}
		data, err := codec.Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		// O_EXCL: what is there stays.
		file, err := os.OpenFile(filepath.Join(dir, name+".json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err = file.Write(append(data, '\n')); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("wrote %s.json", name)
	}
}

// neverShown lists the members that are zero in every one of the events.
func neverShown(events []domain.Event) []string {
	zero := map[string]bool{}
	for _, e := range events {
		members(reflect.ValueOf(e).Elem(), "", zero)
	}
	var missing []string
	for name, always := range zero {
		if always {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// members notes for each member whether it has been zero so far.
func members(v reflect.Value, path string, zero map[string]bool) {
	switch {
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			members(v.Index(i), path, zero)
		}
	case v.Kind() == reflect.Struct && v.NumField() > 0 && v.Type().Field(v.NumField()-1).Tag.Get("json") != "":
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if name == "" || name == "-" {
				continue
			}
			name = strings.TrimPrefix(path+"."+name, ".")
			was, seen := zero[name]
			zero[name] = v.Field(i).IsZero() && (was || !seen)
			members(v.Field(i), name, zero)
		}
	}
}

// FuzzCodec: whatever bytes stand under whatever name, an event that decodes is
// written in one canonical form, and can be folded.
func FuzzCodec(f *testing.F) {
	for file, data := range readSamples(f) {
		name, _, _ := strings.Cut(file, ".")
		f.Add(name, data)
	}
	for _, odd := range []string{``, `null`, `[]`, `{`, `{"amount":1}`, `{"amount":"1e400"}`, `{"lots":[{"lot":9223372036854775808}]}`} {
		f.Add("deducted", []byte(odd))
	}
	codec := codecOfAccounts()
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		event, err := codec.Decode(name, data)
		if err != nil {
			return
		}
		once, err := codec.Encode(event)
		if err != nil {
			t.Fatalf("%s decodes %s but can't write it: %v", name, data, err)
		}
		back, err := codec.Decode(event.EventName(), once)
		if err != nil {
			t.Fatalf("%s doesn't decode its own %s: %v", name, once, err)
		}
		if twice, err := codec.Encode(back); err != nil || string(twice) != string(once) {
			t.Fatalf("%s is written as %s and then as %s, %v", name, once, twice, err)
		}
		account.Evolve(account.New(), event)
	})
}

func TestUpdateNeverOverwritesASample(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "deducted.json")
	if err := os.WriteFile(kept, []byte("as it was written"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeMissing(t, dir)
	if data, err := os.ReadFile(kept); err != nil || string(data) != "as it was written" {
		t.Errorf("the sample is now %s, %v", data, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(newSamples()) {
		t.Errorf("%d files for %d samples, %v", len(files), len(newSamples()), err)
	}
}

// newSamples are what -update writes where the file is missing. The files count,
// not this list.
func newSamples() map[string]domain.Event {
	s := newSampler()
	all := s.accountSamples()
	all["expiry-announced"] = &account.ExpiryAnnounced{Lot: 12, Amount: 25 * domain.Credit, ExpiresAt: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}
	all["backing-changed"] = &account.BackingChanged{Unbacked: 12*domain.Credit + 500_000}
	all["notice-seen"] = &account.NoticeSeen{Notice: "a12.0"}
	maps.Copy(all, s.buyingSamples())
	maps.Copy(all, s.deploymentSamples())
	maps.Copy(all, s.deskSamples())
	return all
}

// sampler has what many samples share.
type sampler struct {
	sealed        domain.Sealed
	year          time.Time
	both, back    []account.LotUse
	part          account.Part
	deduction     uuid.UUID
	quantity      domain.Quantity
	price, hourly domain.Rate
}

func newSampler() sampler {
	s := sampler{
		sealed:    "AUZxV3q5mD0bJ8sKQnqk0cF0m1x8r0a6cV3e9u2T4w",
		part:      account.Part{Index: 2, Count: 3},
		deduction: uuid.MustParse("00000000-002a-8f3b-9c1d-5e7a90b1c2d3"),
	}
	s.year = s.at("2027-03-01T00:00:00Z")
	gift := account.LotUse{Lot: 12, Class: account.Promotional, Amount: 20 * domain.Credit, ExpiresAt: s.year}
	paid := account.LotUse{Lot: 7, Class: account.Purchased, Amount: 10*domain.Credit + 500_000}
	s.both, s.back = []account.LotUse{gift, paid}, []account.LotUse{paid, gift}
	for text, into := range map[string]interface{ UnmarshalText([]byte) error }{"4808.5": &s.quantity, "0.00000013": &s.price, "10.166666666667": &s.hourly} {
		if err := into.UnmarshalText([]byte(text)); err != nil {
			panic(err)
		}
	}
	return s
}

func (sampler) at(text string) time.Time {
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return parsed
}

func (s sampler) accountSamples() map[string]domain.Event {
	const credit = domain.Credit
	return map[string]domain.Event{
		"account-forgotten": &account.Forgotten{Reason: "erasure request 2026-117"},
		"account-frozen":    &account.Frozen{Cause: account.FreezeDesk, Reason: s.sealed},
		"account-unfrozen":  &account.Unfrozen{Reason: s.sealed},
		"adjusted": &account.Adjusted{Adjustment: "adj-2026-031", Amount: -31*credit - 500_000, Reason: s.sealed, Related: s.deduction,
			ApprovedBy: "finance:olga", Lots: s.both, Debt: 1 * credit, Part: s.part},
		"adjusted.up":            &account.Adjusted{Adjustment: "adj-2026-032", Amount: 5 * credit, ApprovedBy: "finance:olga"},
		"adjustment-approved":    &account.AdjustmentApproved{Adjustment: "adj-2026-031", ApprovedBy: "finance:pavel"},
		"adjustment-requested":   &account.AdjustmentRequested{Adjustment: "adj-2026-031", Amount: -31*credit - 500_000, Reason: s.sealed, Related: s.deduction, RequestedBy: "support:mia"},
		"debt-repaid":            &account.DebtRepaid{Debt: account.DebtSpending, Lots: s.both},
		"debt-repaid.chargeback": &account.DebtRepaid{Debt: account.DebtChargeback, Lots: s.both[1:]},
		"deducted": &account.Deducted{Amount: 30*credit + 500_000, Service: domain.ServiceVM, Reference: "vm-4711", Description: s.sealed,
			EffectiveAt: s.at("2026-03-01T09:30:00Z"), Lots: s.both},
		"deducted.below-zero":          &account.Deducted{Amount: 12 * credit, Service: domain.ServiceRay, Lots: s.both[1:], Debt: 1*credit + 500_000, Part: s.part},
		"incentive-granted":            &account.IncentiveGranted{Amount: 20 * credit, Campaign: "spring-2026", ExpiresAt: s.year},
		"lot-expired":                  &account.LotExpired{Lot: s.both[0], EffectiveAt: s.year},
		"lot-expired.unbacked":         &account.LotExpired{Lot: s.both[0], EffectiveAt: s.year, Unbacked: 500_000},
		"payment-unmatched":            &account.PaymentUnmatched{Purchase: "pur-1009", Amount: 25 * credit, Kind: "payment", Why: "purchase-settled-before"},
		"payment-unmatched.chargeback": &account.PaymentUnmatched{Purchase: "pur-1010", Kind: "chargeback", Why: "purchase-unknown"},
		"policy-set": &account.PolicySet{Policy: account.Policy{Allowance: 25 * credit, GraceMinutes: 15, LowBalanceAt: 5 * credit,
			TwoApproversFrom: 500 * credit}},
		"purchase-reversed": &account.PurchaseReversed{Purchase: "pur-1001", Kind: account.ReversalChargeback, Amount: 50 * credit,
			Lots: s.back, Debt: 19*credit + 500_000, Reason: s.sealed, Part: s.part},
		"purchase-settled": &account.PurchaseSettled{Purchase: "pur-1001", Amount: 50 * credit, ExpiresAt: s.year},
		"refunded": &account.Refunded{Deduction: s.deduction, Revision: 42, Amount: 34 * credit, Service: domain.ServiceVM, Reference: "vm-4711",
			Reason: s.sealed, Lots: s.back, Debt: 1 * credit, Made: 2*credit + 500_000, Class: account.Purchased, Part: s.part},
		"reservation-captured": &account.Captured{Reservation: "res-88", Amount: 30*credit + 500_000, Service: domain.ServiceKubernetes,
			Reference: "cluster-5", Lots: s.both, Closes: true, Part: s.part},
		"reservation-released": &account.Released{Reservation: "res-88", Amount: 30*credit + 500_000, Service: domain.ServiceKubernetes,
			Reference: "cluster-5", Cause: account.ReleaseAsked, Reason: s.sealed, Lots: s.back, Closes: true, Part: s.part},
		"reservation-released.expired": &account.Released{Reservation: "res-89", Amount: 20 * credit, Service: domain.ServiceBaremetal,
			Cause: account.ReleaseExpired, Lots: s.both[:1], EffectiveAt: s.at("2026-03-01T10:00:00Z"), Closes: true},
		"reserved": &account.Reserved{Reservation: "res-88", Amount: 30*credit + 500_000, Service: domain.ServiceKubernetes,
			Reference: "cluster-5", ExpiresAt: s.at("2026-03-01T10:00:00Z"), Lots: s.both, Part: s.part},
		"usage-metered": &account.UsageMetered{Meter: "llama-3-in", Service: domain.ServiceInference, Quantity: s.quantity, UnitPrice: s.price,
			Amount: 625, Accrued: domain.Accrual{Charged: 625, Carry: 105_000_000_000}, Reference: "req-19", EffectiveAt: s.at("2026-03-01T09:30:00Z"),
			Final: true, Lots: []account.LotUse{{Lot: 7, Class: account.Purchased, Amount: 600, ExpiresAt: s.year}}, Debt: 25, Part: account.Part{Index: 1, Count: 2}},
	}
}

package journal_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
)

// TestEveryEventHasARule fails when an event type is added without a decision
// how it is booked, or without its line in the page for people.
func TestEveryEventHasARule(t *testing.T) {
	page, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for _, typ := range account.EventTypes() {
		_, err := journal.Of(typ.New(), 0)
		if err != nil && strings.Contains(err.Error(), "no journal rule") {
			t.Error(err)
		}
		line := regexp.MustCompile(`(?m)^//\t` + typ.Name + ` {2,}\S`)
		require.True(t, line.Match(page), "the table in doc.go has no line for %s", typ.Name)
	}
	_, err = journal.Of(unknownEvent{}, 0)
	require.ErrorContains(t, err, "no journal rule")
}

type unknownEvent struct{}

func (unknownEvent) EventName() string { return "unheard-of" }

func TestChartIsWholeAndDocumented(t *testing.T) {
	page, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	seen := map[string]bool{}
	for a := range journal.ChartSize {
		name := a.String()
		require.NotEmpty(t, name)
		require.False(t, seen[name], name)
		seen[name] = true
		service, isService := strings.CutPrefix(name, "revenue:")
		if isService && slices.Contains([]string{"caas", "vm", "kubernetes", "baremetal"}, service) {
			continue // within "revenue:ray … revenue:inference"
		}
		require.Contains(t, string(page), name)
	}
}

const credit = domain.Credit

func paid(lot int64, a domain.Amount) account.LotUse {
	return account.LotUse{Lot: lot, Class: account.Purchased, Amount: a}
}

func promo(lot int64, a domain.Amount) account.LotUse {
	return account.LotUse{Lot: lot, Class: account.Promotional, Amount: a}
}

// TestPostings has each rule's postings as an accountant would write them.
func TestPostings(t *testing.T) {
	for _, row := range []struct {
		event domain.Event
		want  string
	}{
		{&account.PurchaseSettled{Amount: 5 * credit}, "assets:clearing:provider 5; liabilities:credits:purchased -5"},
		{&account.IncentiveGranted{Amount: 2 * credit}, "liabilities:credits:promotional -2; expenses:promotional 2"},
		{&account.Deducted{Amount: 6 * credit, Service: domain.ServiceVM, Lots: []account.LotUse{promo(1, credit), paid(0, 2*credit)}, Debt: 3 * credit},
			"assets:receivable:spending 3; liabilities:credits:purchased 2; liabilities:credits:promotional 1; revenue:vm -6"},
		{&account.Refunded{Amount: 4 * credit, Service: domain.ServiceVM, Lots: []account.LotUse{paid(0, credit)}, Debt: credit, Made: 2 * credit, Class: account.Promotional},
			"assets:receivable:spending -1; liabilities:credits:purchased -1; liabilities:credits:promotional -2; revenue:vm 4"},
		{&account.UsageMetered{Service: domain.ServiceInference}, ""},
		{&account.Reserved{Reservation: "r", Lots: []account.LotUse{promo(1, credit), paid(0, credit)}},
			"liabilities:credits:purchased 1; liabilities:credits:promotional 1; liabilities:reserved:purchased -1; liabilities:reserved:promotional -1"},
		{&account.Captured{Reservation: "r", Service: domain.ServiceRay, Lots: []account.LotUse{paid(0, credit)}}, "liabilities:reserved:purchased 1; revenue:ray -1"},
		{&account.Released{Reservation: "r", Lots: []account.LotUse{promo(1, credit)}}, "liabilities:credits:promotional -1; liabilities:reserved:promotional 1"},
		{&account.LotExpired{Lot: paid(0, credit)}, "liabilities:credits:purchased 1; revenue:breakage:purchased -1"},
		{&account.LotExpired{Lot: promo(0, credit)}, "liabilities:credits:promotional 1; revenue:breakage:promotional -1"},
		{&account.DebtRepaid{Debt: account.DebtSpending, Lots: []account.LotUse{paid(0, credit)}}, "assets:receivable:spending -1; liabilities:credits:purchased 1"},
		{&account.DebtRepaid{Debt: account.DebtChargeback, Lots: []account.LotUse{paid(0, credit)}},
			"assets:receivable:chargebacks -1; assets:receivable:provision 1; liabilities:credits:purchased 1; expenses:chargeback-loss -1"},
		{&account.PurchaseReversed{Amount: 3 * credit, Lots: []account.LotUse{paid(0, credit)}, Debt: 2 * credit},
			"assets:clearing:provider -3; assets:receivable:chargebacks 2; assets:receivable:provision -2; liabilities:credits:purchased 1; expenses:chargeback-loss 2"},
		{&account.Adjusted{Amount: credit}, "liabilities:credits:promotional -1; expenses:corrections 1"},
		{&account.Adjusted{Amount: -credit, Lots: []account.LotUse{paid(0, credit)}}, "liabilities:credits:purchased 1; expenses:corrections -1"},
		{&account.PaymentUnmatched{Kind: "payment", Amount: credit}, "assets:clearing:provider 1; liabilities:unmatched -1"},
		{&account.PaymentUnmatched{Kind: "chargeback", Amount: credit}, "assets:clearing:provider -1; liabilities:unmatched 1"},
		{&account.PolicySet{}, ""},
	} {
		got, err := journal.Of(row.event, 9)
		require.NoError(t, err)
		require.Equal(t, row.want, text(got), "%s", row.event.EventName())
	}
}

// TestEachServiceHasItsRevenue: what is earned by one isn't booked as another's.
func TestEachServiceHasItsRevenue(t *testing.T) {
	for service, line := range map[domain.Service]string{
		domain.ServiceRay: "revenue:ray", domain.ServiceCaaS: "revenue:caas", domain.ServiceVM: "revenue:vm", domain.ServiceKubernetes: "revenue:kubernetes",
		domain.ServiceBaremetal: "revenue:baremetal", domain.ServiceInference: "revenue:inference",
	} {
		got, err := journal.Of(&account.Deducted{Service: service, Lots: []account.LotUse{paid(0, credit)}}, 9)
		require.NoError(t, err)
		require.Equal(t, "liabilities:credits:purchased 1; "+line+" -1", text(got))
	}
}

func text(postings []journal.Posting) string {
	var parts []string
	for _, p := range postings {
		parts = append(parts, fmt.Sprintf("%s %s", p.Account, p.Amount))
	}
	return strings.Join(parts, "; ")
}

func TestRefusesWhatHasNoOtherSide(t *testing.T) {
	_, err := journal.Of(&account.Deducted{Service: domain.ServiceCredits, Debt: credit}, 3)
	require.ErrorContains(t, err, "earns nothing")
	_, err = journal.Of(&account.Reserved{}, 3)
	require.NoError(t, err)
	for _, name := range []string{"lot-expired", "payment-unmatched", "purchase-settled", "purchase-reversed", "payment-resolved"} {
		_, err = journal.Of(impostor(name), 3)
		require.ErrorContains(t, err, "another rule", "what is no event of ours, and has the name of one")
	}
}

type impostor string

func (i impostor) EventName() string { return string(i) }

// TestBooksTieToBalances drives random accounts and holds every event to it: the
// postings add up to zero, and each line of the customer's equals his figures.
func TestBooksTieToBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := account.New()
		var books journal.Totals
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var spent []account.Recorded
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			at = at.Add(time.Duration(rapid.IntRange(0, 48).Draw(t, "hours")) * time.Hour)
			cmd := account.Command{At: at, By: rapid.SampledFrom([]string{"ann", "bob", "cy"}).Draw(t, "by"), Do: action(t, at, spent)}
			if refund, ok := cmd.Do.(account.Refund); ok {
				cmd.Original = original(spent, refund.Transaction)
			}
			events, err := account.Decide(state, cmd)
			if err != nil {
				continue
			}
			for _, event := range events {
				account.Evolve(state, event)
				postings, err := journal.Of(event, state.Revision)
				if err != nil {
					t.Fatal(err)
				}
				books.Post(postings)
				if e, ok := account.EntryOf(event); ok && e.Type == account.EntryDeduction {
					spent = append(spent, account.Recorded{ID: id(state.Revision), Revision: state.Revision, Event: event})
				}
				tie(t, &books, state, event)
			}
		}
	})
}

func tie(t *rapid.T, books *journal.Totals, s *account.State, event domain.Event) {
	if open := books.Open(); open != (journal.Sum{}) {
		t.Fatalf("after %s the books are open by %s", event.EventName(), open)
	}
	for line, want := range map[journal.Account]domain.Amount{
		journal.PurchasedCredits: -s.FreePurchased, journal.PromotionalCredits: -s.FreePromotional,
		journal.PurchasedReserved: -s.HeldPurchased, journal.PromotionalReserved: -s.HeldPromotional,
		journal.Withdrawals: -s.Withdrawing, journal.SpendingReceivable: s.SpendingDebt,
		journal.ChargebackReceivable: s.ChargebackDebt, journal.Provision: -s.ChargebackDebt, journal.ChargebackLoss: s.ChargebackDebt,
	} {
		if got, fits := books[line].Amount(); !fits || got != want {
			t.Fatalf("after %s, %s is %s, the account says %s", event.EventName(), line, got, want)
		}
	}
	if got, _ := books.Balance().Amount(); got != s.Balance().Balance {
		t.Fatalf("after %s the books say %s, the account %s", event.EventName(), got, s.Balance().Balance)
	}
}

func id(revision int64) domain.TransactionID {
	return domain.NewTransactionID(revision, sha256.Sum256([]byte("event")))
}

func original(spent []account.Recorded, of domain.TransactionID) []account.Recorded {
	i := slices.IndexFunc(spent, func(r account.Recorded) bool { return r.ID == of })
	if i < 0 {
		return nil
	}
	return spent[i : i+1]
}

func action(t *rapid.T, at time.Time, spent []account.Recorded) account.Action {
	amount := domain.Amount(rapid.Int64Range(1, int64(30*credit)).Draw(t, "amount"))
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
	purchase := fmt.Sprintf("p-%d", rapid.IntRange(0, 9).Draw(t, "purchase"))
	expires := at.Add(time.Duration(rapid.IntRange(1, 96).Draw(t, "lives")) * time.Hour)
	switch rapid.IntRange(0, 12).Draw(t, "action") {
	case 0, 1:
		return account.RecordPurchase{Purchase: purchase, Amount: amount}
	case 2:
		return account.GrantIncentive{Amount: amount, ExpiresAt: expires}
	case 3, 4:
		return account.Deduct{Amount: amount, Service: domain.ServiceVM}
	case 5:
		return account.RecordReading{Meter: name, Service: domain.ServiceInference, Quantity: domain.Quantity{}, Final: true}
	case 6:
		return account.Reserve{Reservation: name, Amount: amount, Service: domain.ServiceRay, ExpiresAt: expires}
	case 7:
		return account.Capture{Reservation: name, Amount: amount, Final: true}
	case 8:
		return account.Release{Reservation: name}
	case 9:
		return account.RequestAdjustment{Adjustment: name, Amount: amount - 15*credit}
	case 10:
		return account.ApproveAdjustment{Adjustment: name}
	case 11:
		if len(spent) > 0 {
			return account.Refund{Transaction: rapid.SampledFrom(spent).Draw(t, "of").ID, Amount: amount}
		}
		return account.Tick{}
	default:
		return account.ReversePurchase{Purchase: purchase, Kind: account.ReversalChargeback}
	}
}

func TestSumsPassAnInt64(t *testing.T) {
	most := domain.Amount(math.MaxInt64)
	sum := journal.Sum{}.Add(most).Add(most).Add(1)
	require.Equal(t, "18446744073709.551615", sum.String())
	require.Equal(t, "-18446744073709.551615", sum.Minus().String())
	_, fits := sum.Amount()
	require.False(t, fits)
	require.Equal(t, journal.Sum{}, sum.Plus(sum.Minus()))
	require.Equal(t, "-0.5", journal.Sum{}.Add(-500_000).String())
	require.True(t, sum.Minus().Negative())

	twice := sum.Plus(sum).Add(2) // 2^65
	require.Equal(t, []string{"36893488147419.103232", "-36893488147419.103232"}, []string{twice.String(), twice.Minus().String()})
	require.Equal(t, "18000000000000", journal.Sum{}.Add(9e18).Add(9e18).String())
	require.Equal(t, [2]bool{false, false}, [2]bool{journal.Sum{}.Negative(), sum.Negative()})
	got, fits := journal.Sum{}.Add(most).Amount()
	require.True(t, fits)
	require.Equal(t, most, got)
	stated, err := sum.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "18446744073709.551615", string(stated))

	var totals, back journal.Totals
	totals[journal.RevenueVM], totals[journal.Unmatched] = sum.Minus(), sum
	stored, err := totals.AppendBinary(nil)
	require.NoError(t, err)
	require.NoError(t, back.UnmarshalBinary(stored))
	require.Equal(t, totals, back)
	require.Equal(t, journal.Sum{}, back.Open())
	require.Error(t, back.UnmarshalBinary(stored[1:]))
	require.Error(t, back.UnmarshalBinary(append([]byte{200}, stored[1:]...)))
}

// TestSamplesBalance: whatever was ever written can be booked.
func TestSamplesBalance(t *testing.T) {
	codec := map[string]domain.EventType{}
	for _, typ := range account.EventTypes() {
		codec[typ.Name] = typ
	}
	files, err := filepath.Glob("../../testdata/events/*.json")
	require.NoError(t, err)
	booked := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		typ, known := codec[name]
		if !known {
			continue // of another stream than an account's
		}
		booked++
		event := typ.New()
		require.NoError(t, json.Unmarshal(data, event), file)
		if typ.Upcast != nil {
			event = typ.Upcast(event)
		}
		postings, err := journal.Of(event, 7)
		require.NoError(t, err, file)
		var sum domain.Amount
		for _, p := range postings {
			sum += p.Amount
		}
		require.Zero(t, sum, file)
	}
	require.GreaterOrEqual(t, booked, len(account.EventTypes()))
}

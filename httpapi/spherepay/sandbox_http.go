package spherepay

import (
	"cmp"
	"crypto/subtle"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"iocredits/domain"
)

// routes: /v1/ is the provider's API, the rest is for a person with a browser.
func (s *Sandbox) routes() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("POST /v1/paymentLink", s.authorized(s.postLink))
	s.mux.HandleFunc("GET /v1/paymentLink", s.authorized(s.getLinks))
	s.mux.HandleFunc("GET /v1/payment", s.authorized(s.getPayments))
	s.mux.HandleFunc("GET /{$}", s.getHome)
	s.mux.HandleFunc("POST /early", s.postEarly)
	s.mux.HandleFunc("GET /pay/{link}", s.getPage)
	s.mux.HandleFunc("POST /pay/{link}/{action}", s.postAction)
}

// ServeHTTP serves the API and the payment page.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Sandbox) authorized(next http.HandlerFunc) http.HandlerFunc {
	want := []byte("Bearer " + s.opts.Key)
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			s.refuse(w, &Error{StatusCode: http.StatusUnauthorized, Code: "auth/unauthorized", Message: "the key is not this merchant's"})
			return
		}
		next(w, r)
	}
}

func (s *Sandbox) answer(w http.ResponseWriter, object string, data any) {
	value, err := json.Marshal(data)
	if err != nil {
		s.refuse(w, &Error{StatusCode: http.StatusInternalServerError, Code: "sandbox/encode", Message: err.Error()})
		return
	}
	s.write(w, envelope{OK: true, Object: object, StatusCode: http.StatusOK, Data: value})
}

func (s *Sandbox) refuse(w http.ResponseWriter, e *Error) {
	s.write(w, envelope{StatusCode: e.StatusCode, Error: e.Code, Message: e.Message})
}

func (s *Sandbox) write(w http.ResponseWriter, e envelope) {
	e.TS, e.Request = s.opts.Now().UTC(), uuid.NewString()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.StatusCode)
	_ = json.MarshalWrite(w, e) // the caller has gone if this fails
}

func (s *Sandbox) postLink(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
	var n newLink
	if err == nil {
		err = json.Unmarshal(body, &n)
	}
	if err != nil || len(key) > 255 {
		s.refuse(w, &Error{StatusCode: http.StatusBadRequest, Code: "request/invalid", Message: "the body or the Idempotency-Key is malformed"})
		return
	}
	link, refused := s.makeLink(r.Context(), key, n)
	if refused != nil {
		s.refuse(w, refused)
		return
	}
	s.answer(w, "paymentLink", linkData{link})
}

func (s *Sandbox) getLinks(w http.ResponseWriter, r *http.Request) {
	s.answer(w, "list", linksData{s.links(r.URL.Query().Get("meta.purchase"))})
}

func (s *Sandbox) getPayments(w http.ResponseWriter, r *http.Request) {
	s.answer(w, "list", paymentsData{s.payments(r.URL.Query().Get("meta.purchase"))})
}

// links and payments are those of a purchase; "" means all.
func (s *Sandbox) links(purchase string) []Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.state.Links), func(l Link) bool { return purchase != "" && l.Meta.Purchase != purchase })
}

func (s *Sandbox) payments(purchase string) []Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.state.Payments), func(p Payment) bool { return purchase != "" && p.Meta.Purchase != purchase })
}

func (s *Sandbox) getHome(w http.ResponseWriter, _ *http.Request) {
	links := s.links("")
	slices.Reverse(links)
	s.render(w, "home", struct{ Links []Link }{links})
}

func (s *Sandbox) postEarly(w http.ResponseWriter, r *http.Request) {
	s.PayEarly()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

type pageData struct {
	Link     Link
	Payments []Payment
	Actions  []Action
	Message  string
}

func (s *Sandbox) linkByID(id string) (Link, bool) {
	links := s.links("")
	i := slices.IndexFunc(links, func(l Link) bool { return l.ID == id })
	if i < 0 {
		return Link{}, false
	}
	return links[i], true
}

func (s *Sandbox) getPage(w http.ResponseWriter, r *http.Request) {
	link, found := s.linkByID(r.PathValue("link"))
	if !found {
		http.Error(w, "There is no such payment link.", http.StatusNotFound)
		return
	}
	s.render(w, "page", pageData{link, s.payments(link.Meta.Purchase), Actions(), r.URL.Query().Get("message")})
}

func (s *Sandbox) postAction(w http.ResponseWriter, r *http.Request) {
	link, found := s.linkByID(r.PathValue("link"))
	if !found {
		http.Error(w, "There is no such payment link.", http.StatusNotFound)
		return
	}
	message := "Done: " + r.PathValue("action") + "."
	if err := s.Act(r.Context(), link.Meta.Purchase, Action(r.PathValue("action"))); err != nil {
		message = "Not done: " + err.Error() + "."
	}
	http.Redirect(w, r, "/pay/"+link.ID+"?message="+template.URLQueryEscaper(message), http.StatusSeeOther)
}

func (s *Sandbox) render(w http.ResponseWriter, name string, data any) {
	var b strings.Builder
	if err := sandboxPages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
	_, _ = io.WriteString(w, b.String())
}

// meaning says to the person at the page what an action does.
func meaning(a Action) string {
	switch a {
	case Pay:
		return "the customer pays what is still to be paid"
	case Fail:
		return "the customer tries to pay and fails"
	case Half:
		return "half is paid; done again, the rest"
	case Double:
		return "twice the amount is paid"
	case Twice:
		return "one payment, announced by two webhooks at once"
	case Late:
		return "the customer pays after the session has passed"
	case Silent:
		return "the customer pays, and the webhook is lost"
	case Refund:
		return "the provider gives the newest payment back"
	case Chargeback:
		return "the customer's bank takes the newest payment back"
	}
	return ""
}

var sandboxPages = template.Must(template.New("").Funcs(template.FuncMap{
	"amount":  func(a Amount) string { return domain.Amount(a).String() },
	"meaning": meaning,
	"reason":  func(p Payment) string { return cmp.Or(p.Reason, string(p.Status)) },
}).Parse(`
{{define "head"}}<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Payment sandbox</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.4rem} .sum{font-size:2.2rem;font-weight:600;margin:.5rem 0} .note{color:#57606a}
form{display:inline} button{font:inherit;padding:.5rem .9rem;margin:.2rem .2rem .2rem 0;border:1px solid #d0d7de;border-radius:.4rem;background:#f6f8fa;cursor:pointer}
button.main{background:#1f6feb;border-color:#1f6feb;color:#fff} table{border-collapse:collapse;width:100%;margin-top:1rem}
td,th{text-align:left;padding:.3rem .5rem;border-bottom:1px solid #d8dee4;font-size:.9rem} .message{background:#ddf4ff;padding:.6rem .9rem;border-radius:.4rem}
</style>{{end}}
{{define "home"}}{{template "head"}}<h1>Payment sandbox</h1>
<p class="note">It takes no money. Every link that the engine made, the newest first.</p>
<form method="post" action="/early"><button>Pay the next link before the engine has heard that it was made</button></form>
<table><tr><th>purchase</th><th>account</th><th>to pay</th><th></th></tr>
{{range .Links}}<tr><td>{{.Meta.Purchase}}</td><td>{{.Meta.Account}}</td><td>{{amount .Amount}}</td><td><a href="/pay/{{.ID}}">open</a></td></tr>
{{else}}<tr><td colspan="4">none yet</td></tr>{{end}}</table>{{end}}
{{define "page"}}{{template "head"}}<h1>IO Credits for {{.Link.Meta.Account}}</h1>
{{with .Message}}<p class="message">{{.}}</p>{{end}}
<p class="sum">{{amount .Link.Amount}} USDC</p>
<p class="note">Purchase {{.Link.Meta.Purchase}}. This is a sandbox: choose what the customer, or the provider, does.</p>
{{range .Actions}}<form method="post" action="/pay/{{$.Link.ID}}/{{.}}"><button{{if eq . "pay"}} class="main"{{end}}>{{.}}</button></form>{{end}}
<ul class="note">{{range .Actions}}<li>{{.}}: {{meaning .}}</li>{{end}}</ul>
<table><tr><th>payment</th><th>amount</th><th>status</th></tr>
{{range .Payments}}<tr><td>{{.ID}}</td><td>{{amount .Amount}}</td><td>{{reason .}}</td></tr>
{{else}}<tr><td colspan="3">nothing was paid yet</td></tr>{{end}}</table>
<p><a href="/">all links</a></p>{{end}}
`))

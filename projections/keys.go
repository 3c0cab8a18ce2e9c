package projections

// The keys of a generation. An account's name has no zero byte, so one account's
// keys are never a prefix of another's.
//
//	c                                   checkpoint
//	b account                           balance
//	t account 0 revision:8              transaction
//	n account 0 sha256(name)[:16]       revision of the event that claimed it
//	l account 0 lot:8                   unreserved credits of a lot with a date
//	h account 0 kind/id                 deadline that a thing has now
//	d time:12 account 0 kind/id         what is due, in time order
//	o account 0 kind/id                 object
//	y account 0 revision:8 revision:8   an event, and a later one that is about it
//	m account 0 position:8 index:1      notice
//	i account 0 id                      position and index of a notice
//	a account 0 lot:8                   that the expiry of a lot was announced
//	p account 0                         what the parts so far of a movement come to
//	g account 0 revision:8              that the account's key was destroyed before the event
//	q kind 0 status 0 time:12 account 0 id   objects by status, in the order of their queue
//	v kind 0 position:8                 account 0 id: objects by their last change
//	J                                   running totals of the company's journal
//	f e                                 see times.go
//	x r                                 see tree.go
const (
	checkpointKey     = 'c'
	balancePrefix     = 'b'
	transactionPrefix = 't'
	namePrefix        = 'n'
	lotPrefix         = 'l'
	setDeadlinePrefix = 'h'
	deadlinePrefix    = 'd'
	objectPrefix      = 'o'
	queuePrefix       = 'q'
	changedPrefix     = 'v'
	relatedPrefix     = 'y'
	companyKey        = 'J'
	milestonePrefix   = 'f'
	latePrefix        = 'e'
	nodePrefix        = 'x'
	edgeKey           = 'r'
	noticePrefix      = 'm'
	noticeIDPrefix    = 'i'
	announcedPrefix   = 'a'
	partsPrefix       = 'p'
	forgottenPrefix   = 'g'
)

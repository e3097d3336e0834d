/**
 * What a cluster sitter that stands by tells the one that leads of a request that it passes on. It is believed over mutual TLS alone:
 * whoever else sends these headers has said nothing.
 */
export const FORWARDED_BY_HEADER = 'cerebro-forwarded-by';
export const FORWARDED_SESSION_HEADER = 'cerebro-forwarded-session';
/** What who asked may do; an older cluster sitter, which knows only those who may do everything, does not send it. */
export const FORWARDED_SCOPE_HEADER = 'cerebro-forwarded-scope';
/** In the answer: the revision of the store in which everything that was asked for stands. */
export const REVISION_HEADER = 'cerebro-revision';

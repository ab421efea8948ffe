DROP TABLE token_tapes;
DROP FUNCTION token_tapes_never_change();

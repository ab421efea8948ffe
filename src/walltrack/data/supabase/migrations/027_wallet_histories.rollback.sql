DROP TABLE wallet_history_pages;
DROP TABLE wallet_histories;

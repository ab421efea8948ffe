"""Well-known Solana addresses that are no trader's: programs, pools' owners, takers of fees and tips, quote mints.

Sources, where none is named: the constants of cxcx-ai/solana-dex-parser (2025-10-02) for programs and tip accounts,
pump-fun/pump-public-docs (2026-05-19) for pump.fun, the bot_trades models of duneanalytics/spellbook (2026-08-21) and
a public Dune query (2026) for bots and terminals. No list of this kind is ever complete.
"""

from __future__ import annotations

import struct
from functools import cache
from types import MappingProxyType
from typing import Final

from solders.pubkey import Pubkey

PROGRAMS: Final = frozenset(
    {
        "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P",
        "pAMMBay6oceH9fJKBRHGP5D4bD4sWpmSwMn52FMfXEA",
        "pfeeUxB6jkeY1Hxd7CsFCAjcbHA9rWtchMGdZ6VojVZ",
        "MAyhSmzXzV1pTf7LsNkrNwkWKTo4ougAJ1PPg47MD4e",
        "675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8",
        "routeUGWgWzqBWFcrCfv8tritsqukccJPu3q5GPP3xS",
        "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C",
        "CAMMCzo5YL8w4VFF8KVHrK22GGUsp5VTaW7grrKgrWqK",
        "LanMV9sAd7wArD4vJFi2qDdfnVhFxYSUg6eADduJ3uj",
        "whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc",
        "LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo",
        "Eo7WjKq67rjJQSZxS6z3YkapzY3eMj6Xy8X5EQVn5UaB",
        "cpamdpZCGKUy5JxQXB4dcpGPiikHawvSWAd6mEn1sGG",
        "dbcij3LWUppWqq96dh6gJWwBifmcGfLSB5D4DuSMaqN",
        "JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4",
        "JUP4Fb2cqiRUcaTHdrPC8h2gNsA2ETXiPDD33WcGuJB",
        "DCA265Vj8a9CEuX1eb1LWRnDT7uK6q1xMipnNyatn23M",
        "j1o2qRpjcyUwEvwtcfhEQefh773ZgjxcVRry7LDqg5X",
        "6m2CDdhRgxpH4WjvdzxAYbGxwdGUz5MziiL5jek2kBma",
        "MoonCVVNZFSYkqNXP6bxHLPL6QQJiMagDL3qcqUQTrG",
        "boop8hVGQGqehUK2iVEMEnMrL5RbjywRzHKBmBE7ry4",
        "HEAVENoP2qxoeuF8Dj2oT1GHEnu49U5mJYkdeC8BAX2o",
        "SoLFiHG9TfgtdUXUjWAxi3LtvYuFyDLVhBWxdMZxyCe",
        "ZERor4xhbUycZ6gb9ntrhqscUcZmAbQDjEAtCf4hbZY",
        "PhoeNiXZ8ByJGLkxNfZRnkUfjvmuYqLR89jjFHGqdXY",
        "opnb2LAfJYbRMAHHvqjCwQxanZn7ReEHp1k81EohpZb",
        "2wT8Yq49kHgDzXuPxZSaeLaH1qbmGXtEyPy64bL7aD3c",
        "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb",
        "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL",
        "11111111111111111111111111111111",
        "BSfD6SHZigAfDWSjzD5Q41jw8LmKwtmjskPH9XW1mrRW",
        "BANANAjs7FJiPQqJTGFzkZJndT9o7UmKiYYGaJz6frGu",
        "b1oomGGqPKGD6errbyfbVMBuzSC8WtAAYo8MwNafWW1",
        "MaestroAAe9ge5HTc64VbBQZ6fP77pwvrhM8i1XWSAx",
        "NoVA1TmDUqksaj2hB1nayFkPysjJbFiU76dT4qPw2wm",
        "term9YPb9mzAsABaqN71A4xdbxHmpBNZavpBiQKZzN3",
    }
)
"""Exchanges, launch pads, routers, order programs, trading bots' programs, and Solana's own."""

QUOTE_MINTS: Final = MappingProxyType(
    {
        "So11111111111111111111111111111111111111112": 9,  # WSOL
        "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v": 6,  # USDC
        "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB": 6,  # USDT
        "USD1ttGY1N17NEEHLmELoaybftRBUSErhqYiQzvEmuB": 6,  # USD1
        "2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo": 6,  # PYUSD
        "2u1tszSeqZ3qBWF3uNGPFc8TzMk2tdiwknnRMWGWjGWH": 6,  # USDG
    }
)
"""What tokens are paid with -> its decimals."""

STABLECOINS: Final = frozenset(QUOTE_MINTS) - {"So11111111111111111111111111111111111111112"}
"""The quote mints that are worth about one US dollar."""

POOL_AUTHORITIES: Final = frozenset(
    {
        "5Q544fKrFoe6tsEbD7S8EmxGTJYAKtTVhAW5Q5pge4j1",
        "GpMZbSM2GgvTKHJirzeGfMFoaZ8UR2X7F4v8vHTvxFbL",
        "WLHv2UAZm6z4KyaaELi5pjdbJh6RESMva1Rnn8pJVVh",
        "HLnpSz9h2S4hiLQ43rnSD9XkcUThA7B8hQMKmDaiTLcC",
        "FhVo3mqL8PW5pH5U2CN4XE33DokiyZnUwuGpH2hmHLuM",
    }
)
"""Owners of the vaults of all pools of Raydium AMM V4, CPMM and LaunchLab and of Meteora DAMM v2 and DBC. Derived from
the programs (`find_program_address`; the test repeats it)."""

PUMP_ACCOUNTS: Final = frozenset(
    {
        "39azUYFWPz3VHgKCf3VChUwbpURdCHRxjWVowf5jUJjg",
        "BwWK17cbHxwWBKZkUYvzxLcNQ1YVyaFezduWbtm2de6s",
        "4wTV1YmiEkRvAtNtsSGPtUrqRYQMe5SKy2uB4Jjaxnjf",
        "ADyA8hdefvWN2dbGGWFotbzWxrAvLW83WG6QCVXvJKqw",
        "Ce6TQqeHC9p8KetsN6JsjHK7UTZk7nasjjnr7XxXp9F1",
        "GS4CU59F31iL7aR2Q8zVS8DRrcRnXX1yjQ66TqNVQnaR",
        "TSLvdd1pWpHVjahSpsvCXUbgwsL3JAcvokwaKt1eokM",
    }
)
"""pump.fun's own accounts: migrator, configurations, event and mint authorities, and the vault with which Mayhem trades
(BwWK17…)."""

ROUTER_AUTHORITIES: Final = frozenset(
    {
        "HV1KXxWFaSeriyFvXyx48FqG9BoFbfinB8njCJonqP7K",
    }
)
"""Accounts through which a router passes its users' funds: OKX."""

PUMP_FEE_RECIPIENTS: Final = frozenset(
    {
        "62qc2CNXwrYqQScmEdiZFFAnJR262PxWEuNQtxfafNgV",
        "7VtfL8fvgNfhz17qKRMjzQEXgbdpnHHHQRh54R9jP2RJ",
        "7hTckgnGnLQR6sdH7YkqFTAA7VwTfYFaZ6EhEsU3saCX",
        "9rPYyANsfQZw3DnDmKE3YCQF5E8oD89UXoHn9JFEhJUz",
        "AVmoTthdrX6tKt4nDjco2D775W2YK3sDhxPcMmzUAmTY",
        "CebN5WGQ4jvEPvsVU4EoHEpgzq1VV7AbicfhtW4xC9iM",
        "FWsW1xNtWscwNmKv6wVsU1iTzRN6wmmk3MjxRP5tT7hz",
        "G5UZAVbAf46s7cKWoyKu8kYTip9DGTpbLZ2qa9Aq69dP",
        "JCRGumoE9Qi5BBgULTgdgTLjSgkCMSbF62ZZfGs84JeU",
        "GesfTA3X2arioaHp8bbKdjG9vJtskViWACZoYvxp4twS",
        "4budycTjhs9fD6xw62VBducVTNgMgJJ5BgtKq7mAZwn6",
        "8SBKzEQU4nLSzcwF4a74F2iaUDQyTfjGndn6qUWBnrpR",
        "4UQeTP1T39KZ9Sfxzo3WR5skgsaP6NZa87BAkuazLEKH",
        "8sNeir4QsLsJdYpc9RZacohhK1Y5FLU3nC5LXgYB4aa6",
        "Fh9HmeLNUMVCvejxCtCL2DbYaRyBFVJ5xrWkLnMH6fdk",
        "463MEnMeGyJekNZFQSTUABBEbLnvMTALbT6ZmsxAbAdq",
        "6AUH3WEHucYZyC61hqpqYUWVto5qA5hjHuNQ32GNnNxA",
        "5YxQFdt3Tr9zJLvkFccqXVUwhdTWJQc1fFg2YPbxvxeD",
        "9M4giFFMxmFGXtc3feFzRai56WbBqehoSeRE5GK7gf7",
        "GXPFM2caqTtQYC2cJ5yJRi9VDkpsYZXzYdwYpGnLmtDL",
        "3BpXnfJaUTiwXnJNe7Ej1rcbzqTTQUvLShZaWazebsVR",
        "5cjcW9wExnJJiqgLjq7DEG75Pm6JBgE1hNv4B2vHXUW6",
        "EHAAiTxcdDwQ3U4bU6YcMsQGaekdzLS3B5SmYo46kJtL",
        "5eHhjP8JaYkz83CWwvGU2uMUXefd3AazWGx4gpcuEEYD",
        "A7hAgCzFw14fejgCp387JUJRMNyz4j89JKnhtKU8piqW",
    }
)
"""Takers of pump.fun's fees: normal, Mayhem, buyback (pump-public-docs, docs/FEE_RECIPIENTS.md, 2026-05-07)."""

TIP_ACCOUNTS: Final = frozenset(
    {
        "96gYZGLnJYVFmbjzopPSU6QiEV5fGqZNyN9nmNhvrZU5",
        "HFqU5x63VTqvQss8hp11i4wVV8bD44PvwucfZ2bU7gRe",
        "Cw8CFyM9FkoMi7K7Crf6HNQqf4uEMzpKw6QNghXLvLkY",
        "ADaUMid9yfUytqMBgopwjb2DTLSokTSzL1zt6iGPaS49",
        "DfXygSm4jCyNCybVYYK6DwvWqjKee8pbDmJGcLWNDXjh",
        "ADuUkR4vqLUMWXxW9gh6D6L8pMSawimctcNZ5pGwDcEt",
        "DttWaMuVvTiduZRnguLF7jNxTgiMBZ1hyAumKUiL2KRL",
        "3AVi9Tg9Uo68tJfuvoKvqKNWKkC5wPdSSdeBnizKZ6jT",
        "HWEoBxYs7ssKuudEjzjmpfJVX7Dvi7wescFsVx2L5yoY",
        "95cfoy472fcQHaw4tPGBTKpn6ZQnfEPfBgDQx6gcRmRg",
        "TEMPaMeCRFAS9EKF53Jd6KpHxgL47uWLcpFArU1Fanq",
        "NexTbLoCkWykbLuB1NkjXgFWkX9oAtcoagQegygXXA2",
        "nextBLoCkPMgmG8ZgJtABeScP35qLa2AMCNKntAP7Xc",
        "NextbLoCkVtMGcV47JzewQdvBpLqT9TxQFozQkN98pE",
        "NEXTbLoCkB51HpLBLojQfpyVAMorm3zzKg7w9NFdqid",
        "NeXTBLoCKs9F1y5PJS9CKrFNNLU1keHW71rfh7KgA1X",
        "neXtBLock1LeC67jYd1QdAa32kbVeubsfPNTJC1V5At",
        "nEXTBLockYgngeRmRrjDV31mGSekVPqZoMGhQEZtPVG",
        "moonQBUKBpkifLcTd78bfxxt4PYLwmJ5admLW6cBBs8",
        "uxtoRPdPjRekYmxs1uUqVRZWh38iqonc9KgPuZXPeSY",
    }
)
"""Takers of tips for landing a transaction . The last two are a guess of the source."""

BOT_FEE_WALLETS: Final = frozenset(
    {
        "BBYXdwhqbCxVRVtnuMTTxh8biNisz3ZxsnHfr44jXytR",
        "9yMwSPk9mrXSN7yDHUuZurAh1sjbJsfpUqjZ7SvVtdco",
        "ZG98FUCjb8mJ824Gbs6RsgVmr1FhXb2oNiJHa2dwmPd",
        "8r2hZoDfk5hDWJ1sDujAi2Qr45ZyZw5EQxAXiMZWLKh2",
        "Cj297UauzMX64FU9dKJZRUBWszJ7tEWpVheasq4CfATV",
        "HKMh8nV3ysSofRi23LsfVGLGQKB415QAEfZT96kCcVj4",
        "7tQiiBdKoScWQkB1RmVuML7DBGnR31cuKPEtMM7Vy5SA",
        "4BBNEVRgrxVKv9f7pMNE788XM1tt379X9vNjpDH2KCL7",
        "47hEzz83VFR23rLTEeVm9A7eFzjJwjvdupPPmX3cePqF",
        "EMbqD9Y9jLXEa3RbCR8AsEW1kVa3EiJgDLVgvKh4qNFP",
        "Lk693UiTzQC4vobasRS1QGcYA9D6RGYLjHp1bWreQtM",
        "7HeD6sLLqAnKVRuSfc1Ko3BSPMNKWgGTiWLKXJF31vKM",
        "FRMxAnZgkW58zbYcE7Bxqsg99VWpJh6sMP5xLzAWNabN",
        "MaestroUL88UBnZr3wfoN7hqmNWFi3ZYCGqZoJJHE36",
        "noVaE91mUL5jTb8e9Vf6dqJdNPzJpEQ3uAdnQ8h4nVz",
        "J5XGHmzrRmnYWbmw45DbYkdZAU2bwERFZ11qCDXPvFB5",
        "G9PhF9C9H83mAjjkdJz4MDqkufiTPMJkx7TnKE1kFyCp",
        "38e4GH49TwjXn2yARvnHueAKvU2xREtuchQahMiz3w9G",
        "DShXwLqk6ZHZFtdzE8HMDsGJLhEvrxgRdB5K16V28arK",
        "CPixcsP8LEMeUoavaHG3bdkywR8s4mZXNN3mYUgbXFev",
        "8dEe5BM7irAnHtJ6SSWwCRf7njgnyczS3jPrvJJs88U5",
        "HEPL5rTb6n1Ax6jt9z2XMPFJcDe9bSWvWQpsK7AMcbZg",
        "K1LRSA1DSoKBtC5DkcvnermRQ62YxogWSCZZPWQrdG5",
        "F34kcgMgCF7mYWkwLN3WN7KrFprr2NbwxuLvXx4fbztj",
        "96aFQc9qyqpjMfqdUeurZVYRrrwPJG2uPV6pceu4B1yb",
        "8FEE2ghpWPoxsypBLW87yyqmChjUbcZz41V7bzfiJqGF",
        "7Yr577ubghnmUTvFgB23iPw3FWReMt18WehCz2b2c9mV",
        "6qgwjhV2RQxcPffRdtQBTTEezRykQKXqhcDyv1z3r9tq",
        "6MgcmcZJXfyux7rRSsvjWaG8iegQ29KLxMtWHKoCZ7fn",
        "3Pu1V4duyLyVpAJue1kLAfr74nGjQ3JDzj3aJjnoEXuL",
        "9cSuF94JWPb1HQzWMcifJzkoggwAtfjsojcUqny5XuJy",
        "97VmzkjX9w8gMFS2RnHTSjtMEDbifGXBq9pgosFdFnM",
        "DfkYw6zrr5cqzQHBTaXBsny54p5ip25CELUZ71hkS5LH",
        "CWEfC6fLi552zE2KFxhPiBAZUWdT78gMd8NGENik2zfE",
        "3kxSQybWEeQZsMuNWMRJH4TxrhwoDwfv41TNMLRzFP5A",
        "7LCZckF6XXGQ1hDY6HFXBKWAtiUgL9QY5vj1C4Bn1Qjj",
        "4V65jvcDG9DSQioUVqVPiUcUY9v6sb6HKtMnsxSKEz5S",
        "CeA3sPZfWWToFEBmw5n1Y93tnV66Vmp8LacLzsVprgxZ",
        "AaG6of1gbj1pbDumvbSiTuJhRCRkkUNaWVxijSbWvTJW",
        "7oi1L8U9MRu5zDz5syFahsiLUric47LzvJBQX6r827ws",
        "9kPrgLggBJ69tx1czYAbp7fezuUmL337BsqQTKETUEhP",
        "DKyUs1xXMDy8Z11zNsLnUg3dy9HZf6hYZidB6WodcaGy",
        "4FobGn5ZWYquoJkxMzh2VUAWvV36xMgxQ3M7uG1pGGhd",
        "76sxKrPtgoJHDJvxwFHqb3cAXWfRHFLe3VpKcLCAHSEf",
        "H2cDR3EkJjtTKDQKk8SJS48du9mhsdzQhy8xJx5UMqQK",
        "8m5GkL7nVy95G4YVUbs79z873oVKqg2afgKRmqxsiiRm",
        "4kuG6NsAFJNwqEkac8GFDMMheCGKUPEbaRVHHyFHSwWz",
        "8vFGAKdwpn4hk7kc1cBgfWZzpyW3MEMDATDzVZhddeQb",
        "86Vh4XGLW2b6nvWbRyDs4ScgMXbuvRCHT7WbUT3RFxKG",
        "DZfEurFKFtSbdWZsKSDTqpqsQgvXxmESpvRtXkAdgLwM",
        "5L2QKqDn5ukJSWGyqR4RPvFvwnBabKWqAqMzH4heaQNB",
        "DYVeNgXGLAhZdeLMMYnCw1nPnMxkBN7fJnNpHmizTrrF",
        "Hbj6XdxX6eV4nfbYTseysibp4zZJtVRRPn2J3BhGRuK9",
        "846ah7iBSu9ApuCyEhA5xpnjHHX7d4QJKetWLbwzmJZ8",
        "5BqYhuD4q1YD3DMAYkc1FeTu9vqQVYYdfBAmkZjamyZg",
        "BB5dnY55FXS1e1NXqZDwCzgdYJdMCj3B92PU6Q5Fb6DT",
        "7sHXjs1j7sDJGVSMSPjD1b4v3FD6uRSvRWfhRdfv5BiA",
        "HeZVpHj9jLwTVtMMbzQRf6mLtFPkWNSg11o68qrbUBa3",
        "ByRRgnZenY6W2sddo1VJzX9o4sMU4gPDUkcmgrpGBxRy",
        "DXfkEGoo6WFsdL7x6gLZ7r6Hw2S6HrtrAQVPWYx2A1s9",
        "3t9EKmRiAUcQUYzTZpNojzeGP1KBAVEEbDNmy6wECQpK",
        "DymeoWc5WLNiQBaoLuxrxDnDRvLgGZ1QGsEoCAM7Jsrx",
        "dBhdrmwBkRa66XxBuAK4WZeZnsZ6bHeHCCLXa3a8bTJ",
        "6TxjC5wJzuuZgTtnTMipwwULEbMPx5JPW3QwWkdTGnrn",
        "92Med3qeK7duC5iiYsHX38H2f2twJfRsSx93oNrza2VH",
        "2jwHNxavSoMZMEDbT1eV9PcPt5dDcayCqM6MkgaPpmWQ",
        "65gDv7pZQCZELsNpNYSFEBtNFpWZAbxmRFB6BGMqFkHH",
        "BWgb8wR1FEGiu1jCDSKuHKf752W27b4iN6SvoNCiK4qp",
        "8jgg7moFJkHyTtAv9M6RBSPMp2oXeXhuiUMKW8YbYCWn",
        "AVUCZyuT35YSuj4RH7fwiyPu82Djn2Hfg7y2ND2XcnZH",
        "HrTf9CzXR1dRH4Sof5QrpmGWwpwAf3qZzwCsEjQpXcSq",
        "F4hJ3Ee3c5UuaorKAMfELBjYCjiiLH75haZTKqTywRP3",
    }
)
"""Takers of the fees of trading bots and terminals. Who pays one may well be human; who is one is no trader."""

_ROLES: Final = (
    (PROGRAMS, "a program"),
    (frozenset(QUOTE_MINTS), "a quote mint"),
    (POOL_AUTHORITIES, "the owner of a program's pools"),
    (PUMP_ACCOUNTS, "an account of pump.fun's own"),
    (ROUTER_AUTHORITIES, "a router's authority"),
    (PUMP_FEE_RECIPIENTS, "a fee recipient of pump.fun"),
    (TIP_ACCOUNTS, "a tip account"),
    (BOT_FEE_WALLETS, "a fee wallet of a trading bot"),
)


@cache
def no_wallets() -> dict[str, str]:
    """Addresses that are never wallets, whatever the token -> what each is."""
    return {address: role for addresses, role in reversed(_ROLES) for address in addresses}


def no_wallets_of(mint: str) -> dict[str, str]:
    """`no_wallets`, the mint itself (it signs its creation), and its pump.fun curve and PumpSwap pools, derived
    from their seeds. A mint that is no address has none of the latter.
    """
    found = no_wallets() | {mint: "the mint itself"}
    try:
        key = Pubkey.from_string(mint)
    except ValueError:
        return found
    found[_derived(_PUMP, b"bonding-curve", bytes(key))] = "the token's pump.fun curve"
    authority = Pubkey.find_program_address([b"pool-authority", bytes(key)], _PUMP)[0]
    found[str(authority)] = "the creator of the token's PumpSwap pool"
    for quote in QUOTE_MINTS:
        seeds = (
            b"pool",
            struct.pack("<H", 0),
            bytes(authority),
            bytes(key),
            bytes(Pubkey.from_string(quote)),
        )
        found[_derived(_PUMPSWAP, *seeds)] = "the token's PumpSwap pool"
    return found


_PUMP: Final = Pubkey.from_string("6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P")
_PUMPSWAP: Final = Pubkey.from_string("pAMMBay6oceH9fJKBRHGP5D4bD4sWpmSwMn52FMfXEA")


def _derived(program: Pubkey, *seeds: bytes) -> str:
    return str(Pubkey.find_program_address(list(seeds), program)[0])

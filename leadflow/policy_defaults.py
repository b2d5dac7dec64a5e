"""What a policy means that does not say: kept in code, apart from the packaged document.

A published policy is judged by these for ever, so a change here changes what old policies mean.
The packaged ``policy.toml`` may change; it names its own.
"""

from typing import Final

from domain.policy import AccountRules, RoleRule

ACCOUNTS: Final = AccountRules(
    roles=(
        RoleRule(
            "champion",
            title=("project manager", "programme manager", "program manager", "product owner"),
        ),
        RoleRule(
            "economic_buyer",
            title=(
                *("cfo", "financ*", "controller", "controlling", "treasurer"),
                *("procurement", "purchas*", "buyer", "buying"),
                *("einkauf*", "einkäufer*", "finanz*", "achats", "compras"),
                *("采购", "財務", "财务", "購買", "구매"),
            ),
        ),
        RoleRule(
            "decision_maker",
            seniority=frozenset(
                {"owner", "founder", "c_level", "c_suite", "partner", "vp", "director", "head"}
            ),
            title=(
                *("chief", "ceo", "coo", "cto", "cio", "cmo", "cro", "cdo"),
                *("founder", "owner", "president", "managing director", "director", "vp", "head"),
                *("geschäftsführ*", "vorstand", "inhaber*"),
                *("directeur", "directrice", "gérant*", "总经理", "社長", "대표"),
            ),
        ),
        RoleRule(
            "champion",
            seniority=frozenset({"manager", "lead"}),
            title=(
                *("manager", "team lead", "leiter*", "teamleiter*"),
                *("transformation", "innovation", "responsable"),
            ),
        ),
        RoleRule(
            "influencer",
            seniority=frozenset({"senior", "specialist"}),
            title=(
                *("architect", "consultant", "analyst", "adviser", "advisor", "specialist"),
                *("expert", "researcher", "berater*"),
            ),
        ),
        RoleRule(
            "user",
            seniority=frozenset({"entry", "junior", "individual", "staff"}),
            title=(
                *("engineer", "developer", "administrator", "operator", "technician"),
                *("assistant", "coordinator", "clerk", "representative"),
                *("sachbearbeiter*", "techniker*"),
            ),
        ),
    ),
    wanted=("decision_maker", "economic_buyer", "champion", "user"),
)
"""Of a policy without the table ``[accounts]``."""

"""The channel of a touch, derived where the producer did not say it.

The rules and their order are those of the vocabulary ("Touches"); the first that fits decides.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

SEARCH_ENGINES: Final = frozenset(
    """
    360.cn alltheweb.com altavista.com aol.com ask.com baidu.com bing.com blackle.com brave.com
    centrum.cz coccoc.com daum.net dogpile.com duckduckgo.com ecosia.org ekoru.org excite.com
    exalead.com fireball.de gibiru.com go.com google.com haosou.com hotbot.com info.com kagi.com
    karmasearch.org lilo.org looksmart.com lycos.com metager.de metager.org mojeek.com najdi.si
    naver.com nate.com onet.pl ocean-hero.com perplexity.ai petalsearch.com presearch.com qwant.com
    rambler.ru seznam.cz so.com sogou.com startpage.com startsiden.no suche.info swisscows.com
    t-online.de virgilio.it webcrawler.com yahoo.com yandex.com yandex.ru ya.ru yep.com you.com
    zapmeta.com zoom.info
    """.split()
)
"""Registrable domains of search engines."""

NATIONAL_ENGINES: Final = frozenset({"bing", "google", "lycos", "yahoo", "yandex"})
"""Engines with a domain in many countries: ``google.co.uk``, ``yahoo.co.jp``."""

NOT_SEARCH: Final = frozenset(
    """
    accounts calendar chat classroom cloud disk docs drive groups keep mail meet sheets sites
    slides workspace
    """.split()
)
"""First labels under which the owner of an engine runs something else: ``mail.google.com``."""

SOCIAL_NETWORKS: Final = frozenset(
    """
    behance.net bereal.com bsky.app bsky.social buff.ly dailymotion.com delicious.com discord.com
    discord.gg douban.com douyin.com dribbble.com facebook.com fb.com fb.me fbcdn.net flickr.com
    github.com glassdoor.com goodreads.com hackernews.com hi5.com hootsuite.com ig.me imgur.com
    instagr.am instagram.com kakao.com kuaishou.com line.me linkedin.com linktr.ee livejournal.com
    lnkd.in mastodon.online mastodon.social medium.com meetup.com messenger.com mix.com myspace.com
    news.ycombinator.com nextdoor.com ok.ru pinterest.com plurk.com producthunt.com qzone.com
    quora.com reddit.com renren.com skyrock.com slideshare.net snapchat.com stackoverflow.com
    t.co t.me telegram.me telegram.org threads.com threads.net tiktok.com tumblr.com twitch.tv
    twitter.com viadeo.com vimeo.com vk.com wa.me wechat.com weibo.cn weibo.com whatsapp.com
    x.com xiaohongshu.com xing.com yammer.com youtu.be youtube.com zhihu.com
    """.split()
)
"""Registrable domains (and one host) of social networks."""

SOCIAL_NAMES: Final = frozenset(
    """
    bluesky facebook facebook_ads facebookads fb hackernews ig insta instagram instagram_ads kakao
    linkedin linkedin_ads linkedinads lnkd mastodon meta meta_ads metaads pinterest quora reddit
    reddit_ads snap snapchat telegram threads tiktok tiktok_ads tiktokads tumblr twitch twitter
    twitter_ads vk wechat weibo whatsapp x x_ads xing youtube zhihu
    """.split()
)
"""What ``source`` calls a social network where it gives no host."""

_APPS: Final[Mapping[str, str]] = {
    "com.google.android.googlequicksearchbox": "google.com",
    "com.google.android.gm": "mail.google.com",
    "com.linkedin.android": "linkedin.com",
    "com.facebook.katana": "facebook.com",
    "com.instagram.android": "instagram.com",
    "com.twitter.android": "twitter.com",
    "com.reddit.frontpage": "reddit.com",
    "com.pinterest": "pinterest.com",
    "org.telegram.messenger": "t.me",
    "com.slack": "slack.com",
}
"""Android apps, which give their package in place of a host."""

_MEDIUM: Final[Mapping[str, str]] = {
    "email": "email",
    "newsletter": "email",
    "display": "display",
    "banner": "display",
    "cpm": "display",
    "video": "video",
    "affiliate": "partner",
    "partner": "partner",
    "referral": "referral",
    "organic": "organic_search",
}
_HOST: Final = re.compile(r"[^\s/?#@:]+\.[^\s/?#@:.]+")


@cache
def _suffixes() -> PublicSuffixList:
    # read once, when the first referrer comes: the list is 300 kB
    return PublicSuffixList(accept_unknown=True)


@lru_cache(maxsize=8192)
def host_of(address: str) -> str | None:
    """Return the host of an address (or of a bare host) in lower case, or None if it has none."""
    text = address.strip()
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return None
    if parts.scheme in {"android-app", "ios-app"}:
        return _APPS.get(host, host)
    return host if _HOST.fullmatch(host) or (parts.scheme and host) else None


@lru_cache(maxsize=8192)
def site_of(host: str) -> str:
    """Return the registrable domain of *host*: ``shop.example.co.uk`` is ``example.co.uk``."""
    return str(_suffixes().privatesuffix(host) or host)


@lru_cache(maxsize=8192)
def kind_of_host(host: str) -> str:
    """Return ``search``, ``social`` or ``site``: what a link from *host* comes from."""
    site = site_of(host)
    if site in SOCIAL_NETWORKS or host in SOCIAL_NETWORKS:
        return "social"
    label = site.partition(".")[0]
    if site in SEARCH_ENGINES or label in NATIONAL_ENGINES:
        return "site" if host.partition(".")[0] in NOT_SEARCH else "search"
    return "site"


@lru_cache(maxsize=8192)
def is_social(source: str) -> bool:
    """Return whether ``source`` names a social network, by name or by host."""
    name = source.strip().lower()
    if name.replace("-", "_").replace(" ", "_") in SOCIAL_NAMES:
        return True
    host = host_of(name)
    return host is not None and kind_of_host(host) == "social"


def derive(touch: Mapping[str, str]) -> str:
    """Return the channel of a touch that gives none.

    *touch* holds ``source``, ``medium``, ``click_id``, ``referrer`` and ``page`` where known; a
    blank one counts as missing. A referrer on the site of ``page`` is not another site, and one
    without a host is none.
    """
    source = touch.get("source", "").strip()
    medium = touch.get("medium", "").strip().lower()
    if medium in {"cpc", "ppc"} or medium.startswith("paid") or touch.get("click_id", "").strip():
        return "paid_social" if is_social(source) else "paid_search"
    if medium in _MEDIUM:
        return _MEDIUM[medium]
    if medium.startswith("social"):
        return "organic_social"
    host = host_of(touch["referrer"]) if "referrer" in touch else None
    if host is not None:
        page = host_of(touch["page"]) if "page" in touch else None
        if page is None or site_of(page) != site_of(host):
            kind = kind_of_host(host)
            return {"search": "organic_search", "social": "organic_social"}.get(kind, "referral")
    return "other" if source or medium else "direct"

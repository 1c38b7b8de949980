"""Greetings, which get a greeting and no citation."""

from __future__ import annotations

import re

MAX_WORDS = 5
_BY_LANGUAGE = {
    "Hello! Ask me a question about the indexed documents.": (
        "hi|hello|hey|howdy|greetings|good morning|good afternoon|good evening|good day"
    ),
    "Hallo! Stellen Sie eine Frage zu den indexierten Dokumenten.": (
        "hallo|servus|moin|grüezi|guten tag|guten morgen|guten abend|grüß gott"
    ),
    "Bonjour ! Posez une question sur les documents indexés.": "bonjour|salut|bonsoir|coucou",
    "¡Hola! Haga una pregunta sobre los documentos indexados.": "hola|buenos días|buenas tardes|buenas noches|buenas",
    "Ciao! Fai una domanda sui documenti indicizzati.": "ciao|buongiorno|buonasera|salve",
    "Olá! Faça uma pergunta sobre os documentos indexados.": "olá|ola|oi|bom dia|boa tarde|boa noite",
    "Hoi! Stel een vraag over de geïndexeerde documenten.": "hoi|goedemorgen|goedemiddag|goedenavond|goedendag",
    "Cześć! Zadaj pytanie o zindeksowane dokumenty.": "cześć|dzień dobry|dobry wieczór",
    "Hej! Ställ en fråga om de indexerade dokumenten.": "hej|god morgon|god kväll|hejsan",
    "Привет! Задайте вопрос о проиндексированных документах.": (
        "привет|здравствуйте|добрый день|доброе утро|добрый вечер"
    ),
    "你好！请就已索引的文档提问。": "你好|您好|嗨|早上好|下午好|晚上好|哈喽",
    "こんにちは。登録された文書について質問してください。": "こんにちは|おはよう|おはようございます|こんばんは|やあ",
    "안녕하세요! 색인된 문서에 대해 질문해 주세요.": "안녕하세요|안녕",
    "مرحبا! اطرح سؤالا عن المستندات المفهرسة.": "مرحبا|السلام عليكم|أهلا|صباح الخير|مساء الخير",
    "שלום! שאלו שאלה על המסמכים.": "שלום|בוקר טוב|ערב טוב",
    "नमस्ते! दस्तावेज़ों के बारे में प्रश्न पूछें।": "नमस्ते|नमस्कार",
    "Merhaba! Dizine alınan belgeler hakkında bir soru sorun.": "merhaba|selam|günaydın|iyi günler|iyi akşamlar",
}
_PHRASES = {phrase: answer for answer, phrases in _BY_LANGUAGE.items() for phrase in phrases.split("|")}
_ADDRESSED = frozenset({"there", "all", "everyone", "everybody", "team", "argosy", "zusammen", "à", "tous", "again"})
_WORD = re.compile(r"(?:[^\W_]|[\u0900-\u097f'’])+")


def greeting(question: str) -> str | None:
    """Return the greeting for a question that is nothing but a greeting, or None."""
    words = [word.lower() for word in _WORD.findall(question)]
    if not words or len(words) > MAX_WORDS or "?" in question:
        return None
    for length in range(min(3, len(words)), 0, -1):
        answer = _PHRASES.get(" ".join(words[:length]))
        if answer is not None:
            rest = words[length:]
            return answer if all(word in _ADDRESSED or " ".join(rest) in _PHRASES for word in rest) else None
    return None

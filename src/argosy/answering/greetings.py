"""Greetings, thanks and questions about the service itself, which get a short answer and no citation."""

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
_THANKS = {
    "You are welcome. Ask me if you want to know more.": (
        "thanks|thank you|thx|cheers|many thanks|thanks a lot|thank you very much|thank you so much|that helped|"
        "that is all|that's all|great thanks|ok thanks|okay thanks|perfect thanks|great|perfect|ok|okay|got it|bye|"
        "goodbye|good bye|see you"
    ),
    "Gern geschehen. Fragen Sie gern weiter.": (
        "danke|danke schön|danke sehr|vielen dank|besten dank|herzlichen dank|tschüss|auf wiedersehen"
    ),
    "Je vous en prie. N'hésitez pas à poser d'autres questions.": "merci|merci beaucoup|merci bien|au revoir",
    "De nada. Puede hacer más preguntas.": "gracias|muchas gracias|mil gracias|adiós|hasta luego",
    "Prego. Può fare altre domande.": "grazie|grazie mille|molte grazie|arrivederci",
    "De nada. Pode fazer mais perguntas.": "obrigado|obrigada|muito obrigado|muito obrigada|adeus",
    "Graag gedaan. Vraag gerust verder.": "dank je|dank je wel|dank u|dank u wel|bedankt|hartelijk dank|tot ziens",
    "Proszę bardzo. Zapraszam do dalszych pytań.": "dziękuję|dziękuję bardzo|dzięki|do widzenia",
    "Varsågod. Fråga gärna mer.": "tack|tack så mycket|hej då",
    "Пожалуйста. Спрашивайте ещё.": "спасибо|большое спасибо|спасибо большое|до свидания",
    "不客气。欢迎继续提问。": "谢谢|謝謝|谢谢你|谢谢您|多谢|再见",
    "どういたしまして。ほかにもご質問ください。": "ありがとう|ありがとうございます|ありがとうございました|さようなら",
    "천만에요. 더 궁금한 점을 물어보세요.": "감사합니다|고마워요|고맙습니다|고마워",
    "عفوا. يمكنك طرح المزيد من الأسئلة.": "شكرا|شكرا جزيلا|مع السلامة",
    "בבקשה. אפשר לשאול עוד.": "תודה|תודה רבה|להתראות",
    "आपका स्वागत है। और प्रश्न पूछें।": "धन्यवाद|शुक्रिया|बहुत धन्यवाद",
    "Rica ederim. Başka sorular da sorabilirsiniz.": "teşekkürler|teşekkür ederim|çok teşekkürler|sağ ol",
}
_ABOUT_ITSELF = {
    "I answer questions from the indexed documents and name the passages that I quote.": (
        "what can you do|what do you do|who are you|what are you|what can i ask|what can i ask you|help|"
        "how can you help|how can you help me|can you help me|what can you help with|what can you help me with"
    ),
    "Ich beantworte Fragen aus den indexierten Dokumenten und nenne die zitierten Stellen.": (
        "was kannst du|was können sie|wer bist du|wer sind sie|was kann ich fragen|hilfe"
    ),
    "Je réponds aux questions à partir des documents indexés et j'indique les passages cités.": (
        "que peux-tu faire|que pouvez-vous faire|qui es-tu|qui êtes-vous|aide"
    ),
    "Respondo preguntas con los documentos indexados e indico los pasajes citados.": (
        "qué puedes hacer|qué puede hacer|quién eres|quién es usted|ayuda"
    ),
}
_PHRASES = {phrase: answer for answer, phrases in _BY_LANGUAGE.items() for phrase in phrases.split("|")}
_SAID_ALONE = {
    phrase: answer
    for known in (_THANKS, _ABOUT_ITSELF)
    for answer, phrases in known.items()
    for phrase in phrases.split("|")
}
_ADDRESSED = frozenset({"there", "all", "everyone", "everybody", "team", "argosy", "zusammen", "à", "tous", "again"})
_MARKS = " ?!.,…¿¡？！。،؟"
_WORD = re.compile(r"(?:[^\W_]|[\u0900-\u097f'’])+")


def greeting(question: str) -> str | None:
    """Return the answer to a message that only greets, thanks or asks what the service does, or None."""
    said = " ".join(question.lower().replace("’", "'").strip(_MARKS).replace(",", " ").split())
    words = [word.lower() for word in _WORD.findall(question)]
    called = " ".join(word for word in words if word not in _ADDRESSED)
    if said in _SAID_ALONE or ("?" not in question and called in _SAID_ALONE):
        return _SAID_ALONE.get(said) or _SAID_ALONE[called]
    if not words or len(words) > MAX_WORDS or "?" in question:
        return None
    for length in range(min(3, len(words)), 0, -1):
        answer = _PHRASES.get(" ".join(words[:length]))
        if answer is not None:
            rest = words[length:]
            return answer if all(word in _ADDRESSED or " ".join(rest) in _PHRASES for word in rest) else None
    return None

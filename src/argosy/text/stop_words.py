"""Stop words of languages: words without a topic. They are not indexed, and they tell in which language a text is.

Question words are among them, because queries consist of little else.
"""

from __future__ import annotations

_LISTS = {
    "en": """i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers
        herself it its itself they them their theirs themselves what which who whom this that these those am is are was
        were be been being have has had having do does did doing a an the and but if or because as until while of at by
        for with about against between into through during before after above below to from up down in out on off over
        under again further then once here there when where why how all any both each few more most other some such no
        nor not only own same so than too very s t can will just don should now d ll m o re ve y""",
    "de": """der die das den dem des ein eine einer eines einem einen und oder aber ist sind war waren wird werden wurde
        wurden hat haben hatte hatten sein seine seiner ihr ihre ihrer er sie es wir ich du man nicht auch nur noch so
        als wie bei mit von vom zu zum zur in im an am auf aus nach für über unter durch um bis gegen ohne zwischen vor
        wenn dass da dann denn doch kein keine keinen mehr sich was wer wo wann warum welche welcher welches welchen
        welchem wieviel wieviele wessen wen wem kann können muss müssen soll diese dieser dieses diesem diesen""",
    "fr": """le la les un une des du de d l et en est que qui dans pour pas sur au aux avec ce cette ces cet il elle ils
        elles on nous vous je tu se sa son ses leur leurs ne plus par sont été être avoir a ont était étaient où ou mais
        si comme quel quelle quels quelles quoi dont y qu n s c j m t comment combien quand pourquoi lequel laquelle
        peut doit sans sous entre fait faut""",
    "es": """el la los las un una unos unas de del al y en es que qué quién quien cuál cual cuáles cuándo cuando cómo
        como dónde donde por para con no se su sus lo le les más pero si sí ha han fue fueron era son está están ser
        este esta estos estas ese esa entre sobre también hasta desde muy sin cuántos cuántas cuánto cuánta porque a o
        e u puede debe hay me mi tu te nos""",
    "it": """il lo la i gli le un uno una di del dello della dei degli delle a al allo alla ai agli alle da dal dalla in
        nel nella nei nelle con su sul sulla per tra fra e ed o ma se che chi cui non è sono era erano ha hanno essere
        avere questo questa questi queste quello quella si ci ne come dove quando perché quale quali quanto quanti
        quante cosa più anche deve può""",
    "pt": """o a os as um uma uns umas de do da dos das em no na nos nas por pelo pela pelos pelas para com e ou mas se
        que quem qual quais não é são foi foram era eram ser está estão ter tem têm há como onde quando porque quanto
        quantos quantas este esta estes estas esse essa isso isto ao à aos às seu sua seus suas mais muito também entre
        sobre até sem já pode deve""",
    "nl": """de het een en of maar is zijn was waren wordt worden werd werden heeft hebben had hadden van voor met op in
        aan bij uit naar om te tot door over onder tussen niet geen ook nog als dan dat die dit deze er hij zij ze wij
        we ik je u men wat wie waar wanneer waarom hoe welke welk hoeveel kan moet zou zal meer""",
    "sv": """och att det som en ett den de är var har hade på av för med till inte om från men han hon vi jag du ni man
        så när där hur vad vem varför vilken vilket vilka kan ska skall eller sig sin sitt sina under över efter vid
        mot också bara denna detta dessa finns blev blir""",
    "da": """og at det som en et den de er var har havde på af for med til ikke om fra men han hun vi jeg du man så når
        der hvor hvad hvem hvorfor hvordan hvilken hvilket hvilke kan skal eller sig sin sit sine under over efter ved
        mod også kun denne dette disse findes blev bliver hvornår hvornaar""",
    "no": """og at det som en et ei den de er var har hadde på av for med til ikke om fra men han hun vi jeg du man så
        når der hvor hva hvem hvorfor hvordan hvilken hvilket hvilke kan skal eller seg sin sitt sine under over etter
        ved mot også bare denne dette disse finnes ble blir""",
    "fi": """ja on ei oli olla ovat että se ne hän he minä sinä me te joka jotka mikä mitä kuka missä milloin miksi
        miten kuinka mutta tai kun jos niin myös vain kuin sen tämä nämä ole olivat voi mukaan sekä ennen jälkeen""",
    "pl": """i w z na do że nie się jest to jak co za od po o dla ale czy oraz lub są był była było były być przez przy
        ten ta te tego tej tym który która które kto gdzie kiedy dlaczego ile jaki jaka jakie może tylko już jego jej
        ich""",
    "cs": """a v z na do že ne se je to jak co za od po o pro ale či nebo jsou byl byla bylo byli být při ten ta ty toho
        té tím který která které kdo kde kdy proč kolik jaký jaká jaké může jen již jeho její jejich ve ze si by""",
    "hu": """a az és egy hogy nem is van volt vagy de ha mint csak meg már el ki mi mit ki hol mikor miért hogyan
        mennyi melyik ez azt ezt lesz lehet kell minden volt voltak után szerint által között""",
    "ro": """și în de la cu pe un o unei unui este sunt a au era erau care ce cine unde când cum cât câți câte nu mai
        din pentru prin sau dar dacă ca să se lui ei lor acest această acestea fi fost după între despre""",
    "tr": """ve bir bu da de ile için ne nasıl kim hangi kaç nerede neden mi mı mu mü olan olarak daha en çok gibi kadar
        sonra önce ise o şu var yok ya veya her hiç tarafından""",
    "id": """yang dan di ke dari untuk dengan pada adalah ini itu tidak akan atau juga oleh dalam sebagai ada bisa
        dapat apa siapa mana kapan mengapa bagaimana berapa telah sudah karena saya kami mereka""",
    "ca": """el la els les un una uns unes de del dels al als i en és que qui què quin quina quins quines quan com on
        per amb no es seu seva seus més però si ha han va ser són era aquest aquesta o a""",
    "vi": """và của là có các một những được trong cho với không này đó khi từ đến người như về bao nhiêu gì ai đâu nào
        sao thế bởi""",
    "ru": """и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по только ее её мне было вот
        от меня еще ещё нет о из ему когда даже ну ли если уже или ни быть был него до вас вам там потом себя ей они
        тут где есть надо ней для мы тебя их чем была сам без будто чего раз тоже себе под будет кто этот того потому
        этого какой какая какие каком ним здесь этом один почти мой тем чтобы нее были куда зачем всех можно при об
        после над через эти нас про них много сколько это эта которые который которая которой которого почему каким
        каких является""",
    "uk": """і й в у не що він на я з зі як а то все вона так його але та ти до же ви за б по тільки її мені було від
        ще ні про із йому коли навіть чи якщо вже або бути був вас там потім себе їй вони тут де є для ми їх ніж була
        без хто цей який яка яке які чому скільки це""",
    "el": """ο η το οι τα του της των τον την τους τις στο στη στην στον στα στις και να είναι ήταν που από για με σε
        δεν θα ως αυτό αυτή αυτός ένα μια μία ένας τι ποιος ποια ποιο πού πότε γιατί πώς πόσο πόσα πόσες πόσοι ή αλλά αν
        όταν όπως κατά μετά πριν""",
    "ar": """في من على إلى عن مع هذا هذه ذلك تلك التي الذي الذين هو هي هم كان كانت أن إن أو و ثم لا لم لن ما ماذا من
        متى أين كيف لماذا كم هل أي قد كل بعد قبل بين حتى عند""",
    "hi": """के का की में है हैं को से और पर ने एक यह था थी थे कि जो इस उस वह भी नहीं तो ही या लिए साथ तक कर हो गया
        क्या कौन कब कहाँ क्यों कैसे कितने कितनी कितना किस किसने किसे अपने""",
}
STOP_WORDS = {language: frozenset(words.split()) for language, words in _LISTS.items()}
"""Stop words by language (ISO 639-1), in lower case and NFKC."""
